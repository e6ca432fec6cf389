"""Unpacking the archive: a whole, known tree or none, and nothing outside its folder."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from llama_cpp_vendor.unpack import converter_folder, extract, present, tree_sha256, unpack
from pipeline.errors import VendorError
from tests.support.vendor_archive import (
    FILES,
    HEAD,
    TOP,
    file_member,
    link_member,
    pin_of,
    pin_with_tree,
    write_archive,
)

HOSTILE = {
    "a path above the folder": (file_member(f"{TOP}/../escaped"), "a path outside its folder"),
    "a path far above the folder": (file_member("../../escaped"), "a path outside its folder"),
    "an absolute path": (file_member("/tmp/escaped"), "a path outside its folder"),  # noqa: S108 - never written
    "another top folder": (file_member("other/file"), "a path outside its folder"),
    "a file in place of the top folder": (file_member(TOP), "no plain file"),
    "a backslash": (file_member(f"{TOP}/a\\..\\b"), "a path outside its folder"),
    "a line break": (file_member(f"{TOP}/a\nb"), "a path outside its folder"),
    "a symbolic link out": (link_member(f"{TOP}/link", "/etc/passwd"), "a link"),
    "a symbolic link within": (link_member(f"{TOP}/link", "pyproject.toml"), "a link"),
    "a hard link": (link_member(f"{TOP}/link", f"{TOP}/pyproject.toml", tarfile.LNKTYPE), "a link"),
    "a device": (link_member(f"{TOP}/null", "", tarfile.CHRTYPE), "no plain file"),
    "a named pipe": (link_member(f"{TOP}/pipe", "", tarfile.FIFOTYPE), "no plain file"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_member_is_refused_and_nothing_is_left(name: str, tmp_path: Path) -> None:
    """Whatever its kind: an error that names it, no tree, no file outside."""
    member, kind = HOSTILE[name]
    archive = write_archive(tmp_path, more=((member, "x"),))
    cache = tmp_path / "deep" / "cache"
    with pytest.raises(VendorError, match=kind):
        unpack(archive, pin_of(archive), cache)
    assert not list((cache / "trees").iterdir())
    assert not list(tmp_path.rglob("escaped"))


def test_a_path_that_comes_twice_is_refused(tmp_path: Path) -> None:
    """The second of two equal names cannot replace the first."""
    archive = write_archive(tmp_path, more=((file_member(f"{TOP}/pyproject.toml"), "other"),))
    with pytest.raises(VendorError, match="twice"):
        extract(archive, pin_of(archive), tmp_path / "tree")


def test_a_file_in_the_way_of_a_folder_is_refused(tmp_path: Path) -> None:
    """`a` and `a/b` cannot both be files."""
    archive = write_archive(tmp_path, more=((file_member(f"{TOP}/pyproject.toml/below"), "x"),))
    with pytest.raises(VendorError, match="twice"):
        extract(archive, pin_of(archive), tmp_path / "tree")


def test_a_truncated_archive_is_refused_whole(tmp_path: Path) -> None:
    """An archive that ends early leaves no tree behind."""
    archive = write_archive(tmp_path, {**FILES, f"{TOP}/big": "".join(map(str, range(40_000)))})
    pin = pin_with_tree(archive, tmp_path / "scratch")
    archive.write_bytes(archive.read_bytes()[: pin.size_bytes // 2])
    with pytest.raises(VendorError, match="damaged"):
        unpack(archive, pin, tmp_path / "cache")
    assert not list((tmp_path / "cache" / "trees").iterdir())


def test_an_archive_of_another_commit_is_refused(tmp_path: Path) -> None:
    """The commit that the archive itself names must be the pinned one."""
    archive = write_archive(tmp_path, {**FILES, HEAD: "f" * 40 + "\n"})
    with pytest.raises(VendorError, match="found ffff"):
        extract(archive, pin_of(archive), tmp_path / "tree")


def test_an_archive_without_a_commit_is_refused(tmp_path: Path) -> None:
    """No statement is not taken as agreement."""
    archive = write_archive(tmp_path, {name: text for name, text in FILES.items() if name != HEAD})
    with pytest.raises(VendorError, match="found none"):
        extract(archive, pin_of(archive), tmp_path / "tree")


def test_another_tree_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    """Expected and found digest stand in the error, and no tree is left."""
    archive = write_archive(tmp_path)
    pin = pin_with_tree(archive, tmp_path / "scratch")
    with pytest.raises(VendorError, match=f"found {pin.tree_sha256}"):
        unpack(archive, replace(pin, tree_sha256="1" * 64), tmp_path / "cache")
    assert not list((tmp_path / "cache" / "trees").iterdir())


def test_a_good_archive_is_unpacked_without_git_metadata(tmp_path: Path) -> None:
    """Files have their bytes and plain modes; nothing called .git comes along."""
    archive = write_archive(tmp_path, more=((file_member(f"{TOP}/run.sh", 0o4777), "x"),))
    tree = unpack(archive, pin_with_tree(archive, tmp_path / "scratch"), tmp_path / "cache")
    found = {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()}
    assert found == {"pyproject.toml", "run.sh", "vendor/llama.cpp/convert_hf_to_gguf.py"}
    assert (tree / "run.sh").stat().st_mode & 0o7777 == 0o755
    assert (tree / "pyproject.toml").stat().st_mode & 0o7777 == 0o644
    assert (converter_folder(tree) / "convert_hf_to_gguf.py").read_text() == "print('convert')\n"


def test_a_second_call_does_not_unpack_again(tmp_path: Path) -> None:
    """The tree is there: the archive is not even opened."""
    archive = write_archive(tmp_path)
    pin = pin_with_tree(archive, tmp_path / "scratch")
    tree = unpack(archive, pin, tmp_path / "cache")
    archive.unlink()
    assert unpack(archive, pin, tmp_path / "cache") == tree


@pytest.mark.parametrize("damage", ["changed", "added", "removed", "linked"])
def test_an_altered_tree_is_made_again_when_it_is_verified(damage: str, tmp_path: Path) -> None:
    """One changed, extra, missing or replaced file is noticed, and the tree is whole again afterwards."""
    archive = write_archive(tmp_path)
    pin = pin_with_tree(archive, tmp_path / "scratch")
    tree = unpack(archive, pin, tmp_path / "cache")
    file = tree / "pyproject.toml"
    if damage in ("removed", "linked"):
        file.rename(tmp_path / "moved")
    if damage == "linked":
        file.symlink_to(tmp_path / "moved")
    if damage == "changed":
        file.write_text("[other]\n")
    if damage == "added":
        (tree / "extra.py").write_text("")
    assert tree_sha256(tree) != pin.tree_sha256
    assert tree_sha256(unpack(archive, pin, tmp_path / "cache", verify=True)) == pin.tree_sha256
    assert [path.name for path in tree.parent.iterdir()] == [tree.name]


def test_an_altered_script_is_noticed_at_the_next_use(tmp_path: Path) -> None:
    """What stages run is hashed each time: an edited converter never runs."""
    archive = write_archive(tmp_path)
    pin = pin_with_tree(archive, tmp_path / "scratch")
    script = converter_folder(unpack(archive, pin, tmp_path / "cache")) / "convert_hf_to_gguf.py"
    script.write_text("print('other')\n")
    assert present(pin, tmp_path / "cache") is None
    unpack(archive, pin, tmp_path / "cache")
    assert script.read_text() == "print('convert')\n"


def test_a_tree_that_was_never_unpacked_is_not_present(tmp_path: Path) -> None:
    """Nothing is made by asking."""
    assert present(pin_of(write_archive(tmp_path)), tmp_path / "cache") is None
    assert not (tmp_path / "cache").exists()


def test_the_tree_digest_does_not_depend_on_the_order_of_the_archive(tmp_path: Path) -> None:
    """Files are digested sorted by path."""
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, files in ((one, FILES), (two, dict(reversed(FILES.items())))):
        folder.mkdir()
        archive = write_archive(folder, files)
        extract(archive, pin_of(archive), folder / "tree")
    assert tree_sha256(one / "tree") == tree_sha256(two / "tree")
