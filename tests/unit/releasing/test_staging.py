"""A folder that is replaced at once, whatever happens in between."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.errors import NoSpaceError
from pipeline.releasing import staging
from pipeline.releasing.staging import replaced
from tests.support.disks import small_disk
from tests.support.killed import killed_at_every_step

FILES = ("a", "b", "c")


def write(target: Path, text: str) -> None:
    """Replace a folder by one whose files all hold the same text."""
    with replaced(target) as folder:
        for name in FILES:
            (folder / name).write_text(text)


def texts(target: Path) -> list[str]:
    """Return what the files of a whole folder hold."""
    assert sorted(path.name for path in target.iterdir()) == list(FILES)
    return [(target / name).read_text() for name in FILES]


def replacing(folder: Path) -> Iterator[None]:
    """A second folder takes the place of a first."""
    write(folder / "release", "old")
    yield
    write(folder / "release", "new")


def replacing_without_exchange(folder: Path) -> Iterator[None]:
    """The same on a file system that cannot exchange two names."""
    staging._exchanged = lambda *_: False
    yield from replacing(folder)


def test_the_new_folder_has_the_name_and_nothing_else_is_left(tmp_path: Path) -> None:
    """Not even a lock."""
    write(tmp_path / "release", "old")
    write(tmp_path / "release", "new")
    assert texts(tmp_path / "release") == ["new"] * 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["release"]


def test_an_error_in_the_block_leaves_the_old_folder(tmp_path: Path) -> None:
    """What was written so far is removed."""
    write(tmp_path / "release", "old")
    with pytest.raises(ZeroDivisionError), replaced(tmp_path / "release") as folder:
        (folder / "a").write_text(f"{1 / 0}")
    assert texts(tmp_path / "release") == ["old"] * 3
    assert not list(tmp_path.glob(".release.new*"))


def test_killed_at_any_step_the_folder_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    """SIGKILL at every step on the disk: never a mixture, never half a file, never nothing."""
    folders = killed_at_every_step(replacing, tmp_path)
    assert len(folders) > 10, "so few steps cannot be all"
    seen = [texts(folder / "release") for folder in folders]
    assert all(found in (["old"] * 3, ["new"] * 3) for found in seen)
    assert (seen[0], seen[-1]) == (["old"] * 3, ["new"] * 3)


def test_without_an_exchange_of_names_the_old_folder_is_never_lost(tmp_path: Path) -> None:
    """In the moment between two renames it lies whole beside its place, and the next call puts it back."""
    between = 0
    for folder in killed_at_every_step(replacing_without_exchange, tmp_path):
        if not (folder / "release").exists():
            between += 1
            assert texts(folder / ".release.old") == ["old"] * 3
            staging.recover(folder / "release")
        assert texts(folder / "release") in (["old"] * 3, ["new"] * 3)
    assert between == 1


def test_the_call_after_a_killed_one_clears_up(tmp_path: Path) -> None:
    """Whatever was left, the next folder takes the place and stands alone."""
    for folder in killed_at_every_step(replacing, tmp_path):
        write(folder / "release", "third")
        assert texts(folder / "release") == ["third"] * 3
        assert sorted(path.name for path in folder.iterdir()) == ["release"]


def test_two_at_once_take_turns(tmp_path: Path) -> None:
    """Neither clears away what the other is writing."""
    started = threading.Event()

    def second() -> None:
        with replaced(tmp_path / "release") as folder:
            started.set()
            (folder / "a").write_text("second")

    with ThreadPoolExecutor() as pool:
        with replaced(tmp_path / "release") as folder:
            later = pool.submit(second)
            assert not started.wait(0.3)
            (folder / "a").write_text("first")
        later.result(timeout=30)
    assert (tmp_path / "release" / "a").read_text() == "second"


def test_a_full_disk_leaves_the_old_folder_and_is_told(tmp_path: Path) -> None:
    """The store's error for a full disk, and no half folder that takes up the rest."""
    with small_disk(tmp_path / "disk", "200k") as disk:
        write(disk / "release", "old")
        with pytest.raises(NoSpaceError), replaced(disk / "release") as folder:
            (folder / "a").write_bytes(bytes(400_000))
        assert texts(disk / "release") == ["old"] * 3
        assert not list(disk.glob(".release.new*"))
