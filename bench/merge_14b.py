"""What a merge takes of main memory at the width of Qwen3-14B: one layer and three, so that 40 are arithmetic."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.table import Table
from tests.support import four_bit, four_bit_merge, large_model, peak_memory, tiny_model

SIZES: Final[dict[str, int]] = {
    "vocab_size": 151936,
    "hidden_size": 5120,
    "intermediate_size": 17408,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "tie_word_embeddings": False,
}
"""Those of Qwen3-14B, which has 40 layers and an output layer of its own."""

LAYERS: Final = (1, 3)
ALL_LAYERS: Final = 40
PLAIN, ROUNDED, COPIED = "16 bits", "4 bits, rounded while it loads", "4 bits, a stored copy"
KINDS: Final = (PLAIN, ROUNDED, COPIED)
"""What the adapter was trained on. After 4 bits both merges are made, and measured on the processor."""

_THREADS = 2
_HEADER = ("trained on", "layers", "base GB", "seconds", "peak GB")


@dataclass(frozen=True)
class Merge:
    """One merge: bytes of the base, seconds, and the most memory that its process had, in bytes."""

    kind: str
    layers: int
    base: int
    seconds: float
    peak: float


def measure(layers: Sequence[int] = LAYERS) -> Table:
    """Return the table. Needs some 20 GB of disk in the folder for temporary files, 12 GB of memory, and patience."""
    return table_of([merge for count in layers for merge in _merges(count)])


def table_of(merges: Sequence[Merge]) -> Table:
    """Return the table of these merges, and for each kind the line through its figures at 40 layers."""
    rows: list[tuple[str, ...]] = []
    for kind in dict.fromkeys(one.kind for one in merges):
        same = sorted((one for one in merges if one.kind == kind), key=lambda one: one.layers)
        rows += [
            (kind, f"{one.layers}", f"{one.base / 1e9:.2f}", f"{one.seconds:.0f}", f"{one.peak / 1e9:.2f}")
            for one in same
        ]
        rows.append((kind, f"{ALL_LAYERS}, by arithmetic", f"{_at(same, 'base'):.2f}", "", f"{_at(same, 'peak'):.2f}"))
    note = (
        "`nox -s bench -- merge-14b`: random weights in bfloat16 at the width of Qwen3-14B. The peak is that of the"
        f" whole process, Python with torch included. {_THREADS} threads. After 4 bits it includes both merges and what"
        " is measured of them on the processor, in float32, on"
        f" {4 * four_bit_merge.WINDOW_TOKENS} positions of text and four answers. A position more is 20 kB."
    )
    return Table("Memory of a merge at the width of 14 B", note, _HEADER, tuple(rows))


def _at(merges: Sequence[Merge], figure: str) -> float:
    """Return a figure in GB at 40 layers, on the line through the smallest and the largest model."""
    first, last = merges[0], merges[-1]
    low, high = getattr(first, figure), getattr(last, figure)
    return float(low + (high - low) / (last.layers - first.layers) * (ALL_LAYERS - first.layers)) / 1e9


def _merges(layers: int) -> list[Merge]:
    """Merge one model in all ways; nothing of it is left on the disk."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = large_model.write_base(folder / "base", random=True, num_hidden_layers=layers, **SIZES)
        inputs = {"base": base, **four_bit_merge.write_inputs(folder, SIZES["vocab_size"])}
        found = [_merged(kind, layers, folder / "job", inputs) for kind in (PLAIN, ROUNDED)]
        copy = four_bit.write_copy(base, folder / "copy")
        return [*found, _merged(COPIED, layers, folder / "job", {**inputs, "training_base": copy})]


def _merged(kind: str, layers: int, folder: Path, inputs: dict[str, Path]) -> Merge:
    """Run one merge in a process of its own, and remove what it made. Raises AssertionError with its last words."""
    parameters: dict[str, Any] = {"merge": {"dtype": "base"}} if kind == PLAIN else four_bit_merge.parameters()
    trained_on = inputs.get("training_base", inputs["base"])
    adapter = large_model.write_adapter(folder / "trained", inputs["base"], trained_on)
    request = tiny_model.write_request(folder, "merge", parameters, {**inputs, "adapter": adapter}, _THREADS)
    started = time.monotonic()
    process = tiny_model.start(request, peak_memory.watched(folder / "peak"))
    _, said = process.communicate()
    seconds = time.monotonic() - started
    if process.returncode:
        raise AssertionError(said.decode(errors="replace")[-3000:])
    peak = peak_memory.peak_mb(folder / "peak") * 1e6
    shutil.rmtree(folder)
    size = (inputs["base"] / "model.safetensors").stat().st_size
    return Merge(kind, layers, size, seconds, peak)
