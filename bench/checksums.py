"""Checksums: `digest_file`, by which every artifact is verified, on a file in the page cache."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.table import Table
from pipeline.digest import digest_file, digest_folder

_SIZE = 512 * 2**20
"""Bytes of the four files together: so many that opening them does not count."""


def measure(rounds: int = 5) -> Table:
    """Return the table: one file on one core, and a folder of four files on two."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        block = os.urandom(2**20)
        for number in range(4):
            with (folder / f"file-{number}").open("wb") as stream:
                stream.writelines(block for _ in range(_SIZE // 4 // len(block)))
        whole = folder / "file-0"
        one = [_seconds(lambda: digest_file(whole)) for _ in range(rounds)]
        all_four = [_seconds(lambda: digest_folder(folder)) for _ in range(rounds)]
    rows = (
        ("one file, one core", f"{_SIZE / 4 / statistics.median(one) / 1e9:.2f}"),
        ("a folder, two cores", f"{_SIZE / statistics.median(all_four) / 1e9:.2f}"),
    )
    return Table("Checksums", f"sha256, files in memory, {rounds} rounds. GB/s.", ("what", "GB/s"), rows)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
