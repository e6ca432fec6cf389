"""The images' settings: everything by digest, every problem said with its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llama_cpp_vendor.flags import BACKENDS
from pipeline.environments import lock_file
from pipeline.errors import ImageError, UsageError
from pipeline.images.debian import lock_path, read_debs
from pipeline.images.settings import FILE, by_digest, named, own_mirrors, read_settings

CONTAINERS = FILE.parent


def changed(tmp_path: Path, old: str, new: str) -> Path:
    """Return the real settings with one change."""
    text = FILE.read_text()
    assert old in text
    path = tmp_path / "images.toml"
    path.write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize(
    "reference", ["debian:bookworm-slim", "debian", "debian@sha256:abc", "debian:12@sha512:" + "a" * 64, ""]
)
def test_a_tag_is_refused(reference: str) -> None:
    """What a tag names can change overnight."""
    with pytest.raises(ValueError, match="by tag"):
        by_digest(reference)


def test_a_tag_in_the_file_is_refused_with_its_key(tmp_path: Path) -> None:
    """The message names the key and says what to write."""
    path = changed(tmp_path, f'debian = "{read_settings().bases["debian"]}"', 'debian = "debian:bookworm-slim"')
    with pytest.raises(ImageError, match=r"bases\.debian.*write name@sha256") as caught:
        read_settings(path)
    assert caught.value.where == str(path)


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    """A misspelt key is no key that is silently left out."""
    with pytest.raises(ImageError, match=r"images\.training-cpu\.package"):
        read_settings(changed(tmp_path, 'packages = "train-cpu"', 'package = "train-cpu"'))


def test_an_unknown_image_names_those_that_exist() -> None:
    """A variant that only the other image has."""
    with pytest.raises(UsageError) as caught:
        named(read_settings(), "training-cuda124")
    assert "training-cuda, " in caught.value.advice


@pytest.mark.parametrize("name", sorted(read_settings().images))
def test_what_an_image_names_is_there(name: str) -> None:
    """Dockerfile, locks, base and backend exist."""
    recipe = read_settings().images[name]
    assert (CONTAINERS / recipe.folder / "Dockerfile").is_file()
    assert lock_file(recipe.packages).is_file()
    assert all(read_debs(lock_path(each)).debs for each in (*recipe.debian, *recipe.build_debian))
    assert recipe.llama_cpp is None or recipe.llama_cpp in BACKENDS
    assert recipe.toolkit is None or recipe.toolkit in read_settings().bases


@pytest.mark.parametrize("folder", ["training", "inference"])
def test_a_dockerfile_names_images_by_digest_only(folder: str) -> None:
    """FROM takes a stage or an argument; an argument's default is the base of the settings."""
    text = (CONTAINERS / folder / "Dockerfile").read_text()
    stages = set(re.findall(r"^FROM .+ AS (\w+)$", text, re.MULTILINE))
    taken = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert [name for name in taken if name not in stages and not name.startswith("${")] == []
    defaults = re.findall(r"^ARG \w+_IMAGE=(.+)$", text, re.MULTILINE)
    assert set(defaults) == {read_settings().bases["debian"]}


@pytest.mark.parametrize("folder", ["training", "inference"])
def test_a_dockerfile_asks_no_network(folder: str) -> None:
    """No index and no mirror is named; everything is copied from the context."""
    text = (CONTAINERS / folder / "Dockerfile").read_text()
    assert re.findall(r"https?://|apt-get update|pip download|curl|wget", text) == []
    assert "USER 1000:1000" in text


def test_mirrors_are_those_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both forms of apt's sources; what is commented out, and other archives, do not count."""
    monkeypatch.delenv("DEBIAN_MIRRORS", raising=False)
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(
        "deb http://one.example/debian bookworm main\n# deb http://no.example/debian x\n"
    )
    lines = "Types: deb\nURIs: http://two.example/debian-security\nSuites: x\n"
    (tmp_path / "sources.list.d" / "debian.sources").write_text(lines)
    (tmp_path / "sources.list.d" / "other.list").write_text("deb https://apt.example/tools stable main\n")
    assert own_mirrors(tmp_path) == ["http://one.example", "http://two.example"]


def test_named_mirrors_take_the_place_of_the_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without apt, or behind another mirror."""
    monkeypatch.setenv("DEBIAN_MIRRORS", "http://a.example http://b.example/d")
    assert own_mirrors(tmp_path) == ["http://a.example", "http://b.example/d"]
