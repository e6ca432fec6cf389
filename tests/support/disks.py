"""Small file systems of their own, to be filled up or made read-only: real faults, which need root."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.engines import missing


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount an empty file system of a size (`100k`) on a folder for the block; without root see `missing`."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        missing(f"mounting a small file system needs root: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill_up(folder: Path) -> Path:
    """Write a file until the file system of a folder is full; return it, to be removed again."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as stream, suppress(OSError):
        while True:
            stream.write(bytes(4096))
    return path


def make_read_only(folder: Path) -> None:
    """Let nobody, root included, write any more to what is mounted on a folder."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
