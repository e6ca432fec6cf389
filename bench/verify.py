"""`verify` of a release of 5 GB beside `sha256sum` on the same files and a plain read of them.

The papers are made as docs/provenance.md describes them and signed with a real key; the models are valid GGUF files
of noise. Timed is the whole command, its interpreter and libraries included, and that it verified.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
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
    """Wall time and processor time of one process, and the most memory that it held."""

    seconds: float
    work_seconds: float
    peak_bytes: int


def measure(size: int = SIZE, rounds: int = 1) -> Table:
    """Return the table: one large model, and two of half the size. Needs room for three times `size`."""
    python = ensure("host", lambda *_, **__: None).python
    rows: list[tuple[str, ...]] = []
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        public = write_public(write_key(place / "key.pem"), place / "key.pub")
        for what, parts in (("one file", (_MIB, size)), ("two files", (size // 2, size // 2))):
            folder = place / what.replace(" ", "-")
            Release(folder, model_bytes=parts, part_bytes=2 * size).write(KeySigner(place / "key.pem"))
            shutil.rmtree(folder.with_name(f"{folder.name}-parts"))
            verify: list[str | Path] = [python, "-m", "pipeline", "verify", folder, "--key", public]
            rows += [(f"{what}, {where}", *cells) for where, cells in timed(folder, verify, rounds)]
            shutil.rmtree(folder)
    note = (
        f"A release of {size / 1e9:.1f} GB, {os.cpu_count()} cores, {rounds} rounds in turns. Seconds of the whole"
        " command, and in brackets of processor time. `sha256sum` and `cat` use one core."
    )
    return Table("Verifying a large release", note, ("models", "cat", "sha256sum", "verify", "peak MB"), tuple(rows))


def timed(folder: Path, verify: Sequence[str | Path], rounds: int) -> list[tuple[str, tuple[str, ...]]]:
    """Return where the files are, in memory or on the disk, and the cells: medians, and the most memory of `verify`."""
    models = sorted(folder.glob("*.gguf"))
    commands: dict[str, Sequence[str | Path]] = {
        "cat": ["cat", *models],
        "sha256sum": ["sha256sum", *models],
        "verify": verify,
    }
    took(verify)  # the libraries' own files, and the models, are in memory now
    found: dict[str, dict[str, list[Took]]] = {"in memory": defaultdict(list), "on the disk": defaultdict(list)}
    for _ in range(rounds):
        for where, times in found.items():
            for name, command in commands.items():
                if where == "on the disk":
                    _forget(folder)
                times[name].append(took(command))
    return [(where, _cells(times)) for where, times in found.items()]


def _cells(times: Mapping[str, Sequence[Took]]) -> tuple[str, ...]:
    cells = []
    for rounds in times.values():
        wall = statistics.median(one.seconds for one in rounds)
        work = statistics.median(one.work_seconds for one in rounds)
        cells.append(f"{wall:.1f} ({work:.1f})")
    return *cells, f"{max(one.peak_bytes for one in times['verify']) / 1e6:.0f}"


def _forget(folder: Path) -> None:
    """Take a folder's files out of memory."""
    os.sync()
    for path in folder.iterdir():
        with path.open("rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


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
    return Took(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)
