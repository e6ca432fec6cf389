"""Durable writes and locks, with real full disks and real processes."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import NoSpaceError, StoreBusyError, StoreError
from pipeline.files import (
    drop_leftovers,
    explained,
    link_atomic,
    locked,
    sync_tree,
    try_lock,
    write_atomic,
    write_json_atomic,
)
from tests.support.disks import small_disk


def test_a_write_replaces_the_old_bytes_and_leaves_nothing_else(tmp_path: Path) -> None:
    """No temporary file stays."""
    write_atomic(tmp_path / "a", b"one")
    write_atomic(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """On a real file system of 64 KiB, a write that does not fit changes nothing and says what to do."""
    with small_disk(tmp_path, "64k"):
        write_atomic(tmp_path / "a", b"old")
        with pytest.raises(NoSpaceError, match="no space left") as caught, explained(tmp_path):
            write_atomic(tmp_path / "a", b"x" * 200_000)
        assert "gc" in caught.value.advice
        assert (tmp_path / "a").read_bytes() == b"old"
        assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_json_is_the_same_bytes_whatever_the_order(tmp_path: Path) -> None:
    """Keys are sorted."""
    write_json_atomic(tmp_path / "a", {"b": 1, "a": "あ"})
    write_json_atomic(tmp_path / "b", {"a": "あ", "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_link_is_relative_and_replaced_at_once(tmp_path: Path) -> None:
    """The build folder can be moved as a whole."""
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
        link_atomic(tmp_path / "link", tmp_path / name)
    assert (tmp_path / "link").readlink() == Path("two")


def test_shared_locks_meet_and_an_exclusive_one_does_not(tmp_path: Path) -> None:
    """Many runs, or one `gc`."""
    with locked(tmp_path / "lock", shared=True), locked(tmp_path / "lock", shared=True):
        assert try_lock(tmp_path / "lock") is None
        with pytest.raises(StoreBusyError), locked(tmp_path / "lock"):
            pass


def test_other_system_errors_become_store_errors(tmp_path: Path) -> None:
    """No OSError reaches the user as a traceback."""
    (tmp_path / "file").write_text("a file where a folder is needed")
    with pytest.raises(StoreError), explained(tmp_path):
        write_atomic(tmp_path / "file" / "a", b"")


def test_a_link_from_below_a_linked_folder_leads_to_its_target(tmp_path: Path) -> None:
    """`build` may be a link to a larger disk: the relative path starts where the link really lies."""
    (tmp_path / "far" / "away" / "disk").mkdir(parents=True)
    (tmp_path / "build").symlink_to(tmp_path / "far" / "away" / "disk")
    target = tmp_path / "far" / "away" / "disk" / "store"
    target.mkdir()
    link_atomic(tmp_path / "build" / "name", target)
    assert (tmp_path / "build" / "name").resolve() == target.resolve()


def test_everything_below_a_folder_is_made_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file, then each folder, and an error of one of them is an error."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("one", "a/two", "a/b/three"):
        (tmp_path / name).write_text(name)
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(str(Path(f"/proc/self/fd/{handle}").readlink())))
    sync_tree(tmp_path)
    files = {str(tmp_path / name) for name in ("one", "a/two", "a/b/three")}
    assert set(synced[:3]) == files
    assert set(synced[3:]) == {str(tmp_path), str(tmp_path / "a"), str(tmp_path / "a" / "b")}

    def refuse(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="Input/output error"):
        sync_tree(tmp_path)


def test_what_need_not_last_is_written_without_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole or not at all for whoever reads it, but not for a power cut."""
    monkeypatch.setattr(os, "fsync", lambda _: pytest.fail("waited for the disk"))
    write_json_atomic(tmp_path / "index.json", {"a": 1}, durable=False)
    assert json.loads((tmp_path / "index.json").read_text()) == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["index.json"]


def test_what_killed_processes_left_half_made_goes(tmp_path: Path) -> None:
    """A file of a process that is gone goes; one that is being made now, locks and others' files stay."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    mine = os.getpid()
    stays = {".lock", ".state.lock", f".report.md.{mine}.1", "report.md", ".hidden"}
    for name in (*stays, f".report.md.{gone.pid}.123456", f".model-f16.gguf.{gone.pid}"):
        (tmp_path / name).write_text("x")
    drop_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == stays
