"""What merge, conversion and quantization of a model of gigabytes take of memory, and what that grows with."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.table import Table
from pipeline.vendor import vendor_tree
from tests.support import large_model, tiny_model
from tests.support.gguf_file import convert_parameters, write_origins

SIZES: Final[dict[str, Any]] = {
    "vocab_size": 151936,
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
}
"""Those of Qwen3-1.7B, which has 28 layers."""

LAYERS = (7, 28)
_THREADS = 2
_INTERVAL_S = 0.02
_HEADER = ("step", "layers", "reads GB", "writes GB", "sent to disk GB", "seconds", "peak GB", "of it own GB")
COPY: Final = "copy of F16"
"""The step that is a plain `cp` of what `convert` wrote: what the disk and the system take for the same bytes."""


@dataclass(frozen=True)
class Step:
    """One job: bytes that it read and wrote, its time, and the most memory that it had.

    `peak` counts pages of mapped files too, which the system takes back when it needs them; `own` does not. `sent` is
    what the process made the system send to a disk (proc(5), `write_bytes`), files that it removed again included; None
    where the system does not say, and 0 in a folder that lies in memory.
    """

    name: str
    layers: int
    read: int
    written: int
    seconds: float
    peak: int
    own: int
    sent: int | None = None


def measure(layers: Sequence[int] = LAYERS) -> Table:
    """Return the table. Needs some 12 GB of disk in the folder for temporary files."""
    with tempfile.TemporaryDirectory() as name:
        return table_of([step for count in layers for step in _steps(Path(name, str(count)), count)])


def table_of(steps: Sequence[Step]) -> Table:
    """Return the table of these steps, a row for each."""
    rows = tuple(
        (
            step.name,
            f"{step.layers}",
            f"{step.read / 1e9:.2f}",
            f"{step.written / 1e9:.2f}",
            "not measured" if step.sent is None else f"{step.sent / 1e9:.2f}",
            f"{step.seconds:.0f}",
            *("–" if step.name == COPY else f"{size / 1e9:.2f}" for size in (step.peak, step.own)),
        )
        for step in sorted(steps, key=lambda one: (one.name, one.layers))
    )
    note = (
        "`nox -s bench -- large`: a Qwen3-1.7B in bfloat16 with random weights (28 layers), and one of 7 layers, whose"
        f" largest tensor is the same. {_THREADS} threads, {os.cpu_count()} cores. The peak counts pages of mapped"
        " files, which the system takes back when it needs them; a process's own memory does not. Python with torch is"
        " in both."
    )
    return Table("Memory of a large model", note, _HEADER, rows)


def _steps(folder: Path, layers: int) -> list[Step]:
    base = large_model.write_base(folder / "base", random=True, num_hidden_layers=layers, **SIZES)
    adapter = large_model.write_adapter(folder / "trained", base)
    merged = _Job("merge", folder / "merge", {"merge": {"dtype": "base"}}, {"base": base, "adapter": adapter})
    inputs = {"model": merged.output, "vendor": vendor_tree(lambda *_, **__: None), **write_origins(folder)}
    converted = _Job("convert", folder / "convert", convert_parameters(), inputs)
    quantized = _Job("quantize", folder / "quantize", {"type": "Q4_K_M"}, {"gguf": converted.output})
    return [
        merged.run(layers, base),
        converted.run(layers, merged.output / "model"),
        _copied(folder, layers, converted.output / "model-f16.gguf"),
        quantized.run(layers, converted.output),
    ]


@dataclass(frozen=True)
class _Job:
    """A program's run in a process of its own."""

    program: str
    folder: Path
    parameters: dict[str, Any]
    inputs: dict[str, Path]

    @property
    def output(self) -> Path:
        return self.folder / "output"

    def run(self, layers: int, read: Path) -> Step:
        """Run it and watch it. Raises AssertionError with its last words."""
        request = tiny_model.write_request(self.folder, self.program, self.parameters, self.inputs, _THREADS)
        seen = watch(tiny_model.start(request))
        return Step(self.program, layers, _bytes_below(read), _bytes_below(self.output), *seen)


def _copied(folder: Path, layers: int, source: Path) -> Step:
    """Copy a file by the system's own tool, and remove the copy."""
    copy, size = folder / "copy", source.stat().st_size
    seen = watch(subprocess.Popen(["cp", source, copy], stderr=subprocess.PIPE))
    copy.unlink()
    return Step(COPY, layers, size, size, *seen)


def watch(process: subprocess.Popen[bytes]) -> tuple[float, int, int, int | None]:
    """Watch a process to its end: seconds, peak, own memory, bytes sent to a disk. Raises AssertionError."""
    started = time.monotonic()
    said: list[bytes] = []
    reader = threading.Thread(target=lambda: said.extend(process.stderr or ()))
    reader.start()
    own = 0
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        own = max(own, _own_memory(process.pid))
        time.sleep(_INTERVAL_S)
    seconds, sent = time.monotonic() - started, _sent(process.pid)  # it has ended, and its accounts are still there
    ended = os.wait4(process.pid, 0)
    reader.join()
    process.returncode = os.waitstatus_to_exitcode(ended[1])
    if process.returncode:
        raise AssertionError(b"".join(said[-30:]).decode(errors="replace"))
    return seconds, ended[2].ru_maxrss * 1024, own, sent


def _sent(pid: int) -> int | None:
    """Return the bytes that a process caused to be sent to a disk, None where the system keeps no such account."""
    try:
        lines = Path(f"/proc/{pid}/io").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes:"))


def _own_memory(pid: int) -> int:
    """Return a process's memory that is no file's (proc(5), RssAnon), in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), 0)


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
