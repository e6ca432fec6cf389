"""`verify` of a release of 5 GB beside `sha256sum` on the same files and a plain read of them.

The papers are made as docs/provenance.md describes them and signed with a real key; the models are valid GGUF files
of noise. Timed is the whole command, its interpreter and libraries included, and that it verified.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.table import REPOSITORY, Table
from pipeline.environments import ensure
from pipeline.signing.key_signer import KeySigner
from tests.support.released import Release, write_key, write_public

_MIB = 2**20
SIZE = 5_000_000_000 // (2 * _MIB) * (2 * _MIB)
"""Bytes of all models together."""


@dataclass(frozen=True)
class Took:
    """Wall time of one process, and the most memory that it held."""

    seconds: float
    peak_bytes: int


def measure(size: int = SIZE, rounds: int = 3) -> Table:
    """Return the table: one large model, and two of half the size. Needs room for three times `size`."""
    python = ensure("host", lambda *_, **__: None).python
    rows = []
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        public = write_public(write_key(place / "key.pem"), place / "key.pub")
        for what, parts in (("one file", (_MIB, size)), ("two files", (size // 2, size // 2))):
            folder = place / what.replace(" ", "-")
            Release(folder, model_bytes=parts, part_bytes=2 * size).write(KeySigner(place / "key.pem"))
            rows.append((what, *row(folder, [python, "-m", "pipeline", "verify", folder, "--key", public], rounds)))
    note = (
        f"A release of {size / 1e9:.1f} GB, {os.cpu_count()} cores, {rounds} rounds in turns. Seconds, of the whole"
        " command. `sha256sum` and `cat` take one core; for the last two columns the page cache was emptied before."
    )
    header = ("models", "sha256sum", "verify", "verify peak MB", "cat, from the disk", "verify, from the disk")
    return Table("Verifying a large release", note, header, tuple(rows))


def row(folder: Path, verify: Sequence[str | Path], rounds: int) -> tuple[str, ...]:
    """Return the cells of one release after its name: medians of the wall times, and the most memory of `verify`."""
    models = sorted(folder.glob("*.gguf"))
    timed: dict[str, Callable[[], Took]] = {
        "sums": lambda: took(["sha256sum", *models]),
        "verify": lambda: took(verify),
        "cold cat": lambda: _cold(folder, ["cat", *models]),
        "cold verify": lambda: _cold(folder, verify),
    }
    took(verify)  # the libraries' own files are read once
    found: dict[str, list[Took]] = {name: [] for name in timed}
    for _ in range(rounds):
        for name, run in timed.items():
            found[name].append(run())
    sums, warm, cat, cold = (f"{statistics.median(one.seconds for one in all_):.1f}" for all_ in found.values())
    return sums, warm, f"{max(one.peak_bytes for one in found['verify']) / 1e6:.0f}", cat, cold


def _cold(folder: Path, command: Sequence[str | Path]) -> Took:
    """Run a command over files of which no page is in memory."""
    os.sync()
    for path in folder.iterdir():
        with path.open("rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return took(command)


def took(command: Sequence[str | Path]) -> Took:
    """Run a command in the repository. Raises RuntimeError with its words where it does not end well."""
    with tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        process = subprocess.Popen(
            list(map(str, command)), cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            message = f"{command[0]} ended with {process.returncode}: {said.read()[-2000:]!r}"
            raise RuntimeError(message)
    return Took(seconds, used.ru_maxrss * 1024)
