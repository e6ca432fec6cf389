"""Reading a release folder before anything of it is sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import ReleaseError
from pipeline.publishing.release import read_checksums, read_identity, read_release
from tests.support.events import Events
from tests.support.release_folder import digests


def test_every_file_with_its_digest(folder: Path) -> None:
    """Sorted by name, the pointers last; name, version and title are the recipe's."""
    release = read_release(folder, Events())
    assert {item.name: item.sha256 for item in release.items} == digests(folder)
    assert [item.name for item in release.items[-2:]] == ["SHA256SUMS", "model.sig"]
    assert (release.name, release.version, release.title) == ("seedling", "1.2.0", "Seedling titles")


def change(folder: Path) -> None:
    """One bit of a model."""
    path = folder / "model-f16.gguf"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def link(folder: Path) -> None:
    """A file that is a link to the same bytes."""
    (folder / "model-f16.gguf").rename(folder.parent / "elsewhere.gguf")
    (folder / "model-f16.gguf").symlink_to(folder.parent / "elsewhere.gguf")


def name(folder: Path, line: str) -> None:
    """A further line in the list of checksums."""
    with (folder / "SHA256SUMS").open("a") as stream:
        stream.write(line)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (change, "the release is damaged: .*model-f16.gguf"),
        (link, "model-f16.gguf is not a regular file"),
        (lambda folder: (folder / "report.md").unlink(), "not in the release folder: report.md"),
        (lambda folder: (folder / "model.sig").unlink(), "not in the release folder: model.sig"),
        (lambda folder: (folder / "notes.txt").write_text("x"), "not named by SHA256SUMS: notes.txt"),
        (lambda folder: (folder / "SHA256SUMS").unlink(), "it has no SHA256SUMS"),
        (lambda folder: (folder / "SHA256SUMS").write_text(""), "the list of checksums is empty"),
        (lambda folder: name(folder, f"{'0' * 64}  ../../etc/passwd\n"), "line 14 is no checksum"),
        (lambda folder: name(folder, f"{'0' * 64}  report.md\n"), "line 14 is no checksum"),
        (lambda folder: name(folder, "\x1b[2J\n"), r"line 14 is no checksum .*x1b"),
    ],
)
def test_what_is_not_whole_is_refused(folder: Path, harm: Callable[[Path], object], told: str) -> None:
    """Each harm is told, with the file that it befell."""
    harm(folder)
    with pytest.raises(ReleaseError, match=told):
        read_release(folder, Events())


@pytest.mark.parametrize(
    "recipe",
    [
        b"",
        b"name = 5",
        b"name = '../x'",
        b"name = 'a'\nrelease = 3",
        b"\xff",
        b"name = 'a'\n[release]\nversion = '../1'",
    ],
)
def test_a_recipe_that_names_nothing(recipe: bytes) -> None:
    """A target is called after name and version: they have the forms that a recipe allows, and climb nowhere."""
    with pytest.raises(ReleaseError):
        read_identity(recipe, "recipe.toml")


def test_checksums_of_either_mode() -> None:
    """`sha256sum` writes a space for text and a star for binary files."""
    assert read_checksums(b"%b  a\n%b *b.gguf\n" % (b"0" * 64, b"1" * 64), "x") == {"a": "0" * 64, "b.gguf": "1" * 64}
