"""What `traced.py` is tried on: acts whose calls on files are known."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path


def three_reads(folder: Path) -> Iterator[None]:
    """Ask for three bytes of a file, one at a time, and say after each how far it got."""
    path = folder / "bytes"
    path.write_bytes(b"abc")
    handle = os.open(path, os.O_RDONLY)
    yield
    for number in range(3):
        os.read(handle, 1)
        (folder / f"read-{number + 1}").symlink_to("nothing")


def a_sync_in_each_of_two_threads(folder: Path) -> Iterator[None]:
    """Sync a file in one thread, and another one in a second thread, once the first has ended."""
    handles = [os.open(folder / name, os.O_CREAT | os.O_WRONLY) for name in ("one", "other")]
    yield
    for handle in handles:
        thread = threading.Thread(target=os.fsync, args=(handle,))
        thread.start()
        thread.join()


def asks_its_parent(folder: Path) -> Iterator[None]:
    """Read what is not for it, and say what is not its to say."""
    yield
    (folder / "asked").write_bytes(os.read(0, 100))
    os.write(1, b"ended 0\n")


def another_way_each_time(folder: Path) -> Iterator[None]:
    """Make a folder that only the first of all runs makes."""
    first = folder.parent / "first"
    before = first.exists()
    first.touch()
    yield
    if not before:
        (folder / "made").mkdir()


def fails_to_prepare(folder: Path) -> Iterator[None]:
    """End before there is anything to kill."""
    (folder / "missing").read_bytes()
    yield
