"""Model files are brought without a second copy where that is safe, and an edit of one never reaches the store."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.fetching.copying import ByteProgress
from pipeline.releasing.models import bring, digest_of

NOBODY = 65534


def silent() -> ByteProgress:
    """A counter that nobody listens to."""
    return ByteProgress(lambda *_, **__: None, 1)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A file as the store keeps it: read-only."""
    path = tmp_path / "stored.gguf"
    path.write_bytes(b"model" * 1000)
    path.chmod(0o444)
    return path


@contextmanager
def as_nobody() -> Iterator[Path]:
    """Give a folder of a user who is not root, and be that user for the block."""
    if os.geteuid() != 0:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
        return
    folder = Path(tempfile.mkdtemp(prefix="nobody-"))
    os.chown(folder, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        os.seteuid(0)
        shutil.rmtree(folder)


def test_the_file_has_the_same_bytes_and_is_read_only(stored: Path, tmp_path: Path) -> None:
    """Whatever way it came."""
    target = tmp_path / "model.gguf"
    assert bring(stored, target, silent()) in {"clone", "copy"}
    assert target.read_bytes() == stored.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o444


def test_an_edit_of_a_small_file_does_not_reach_the_store(stored: Path, tmp_path: Path) -> None:
    """Even of one who may write everywhere, after he made it writable."""
    target = tmp_path / "model.gguf"
    bring(stored, target, silent())
    target.chmod(0o644)
    target.write_bytes(b"edited")
    assert stored.read_bytes() == b"model" * 1000


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may write to read-only files")
def test_root_gets_no_second_name_for_a_large_file(stored: Path, tmp_path: Path) -> None:
    """Root edits read-only files without asking, so its release shares none with the store."""
    target = tmp_path / "model.gguf"
    assert bring(stored, target, silent(), shared_from_bytes=1) != "link"
    assert target.stat().st_ino != stored.stat().st_ino


def test_a_large_file_takes_no_room_twice_and_cannot_be_edited_in_place() -> None:
    """For everybody but root: blocks are shared, or the name is a second one of a file that the system protects."""
    with as_nobody() as folder:
        stored = folder / "stored.gguf"
        stored.write_bytes(b"model" * 1000)
        stored.chmod(0o444)
        target = folder / "model.gguf"
        how = bring(stored, target, silent(), shared_from_bytes=1)
        assert how == "clone" or (how == "link" and target.samefile(stored))
        with pytest.raises(PermissionError):
            target.open("r+b")
        assert stored.read_bytes() == b"model" * 1000


def test_a_small_file_is_copied_for_everybody() -> None:
    """Under a gigabyte room is no reason to share."""
    with as_nobody() as folder:
        stored = folder / "stored.gguf"
        stored.write_bytes(b"model")
        stored.chmod(0o444)
        assert bring(stored, folder / "model.gguf", silent()) != "link"


def test_bytes_are_counted_to_the_end(stored: Path, tmp_path: Path) -> None:
    """Of bringing and of reading alike, so that a bar fills."""
    ways: dict[str, Callable[[ByteProgress], Any]] = {
        "bring": lambda progress: bring(stored, tmp_path / "model.gguf", progress),
        "digest": lambda progress: digest_of(stored, progress),
    }
    for way in ways.values():
        told: list[int] = []
        way(ByteProgress(lambda _, done, told=told, **__: told.append(done), 5000))
        assert told[-1] == 5000
