"""Did a second training give the same adapter? The tensors of both are compared by their bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.errors import FetchError
from pipeline.fetching.model_files import read_header
from pipeline.gates.judging import Check
from pipeline.gates.verdict import Evidence, Gate, Verdict

ADAPTER = "adapter/adapter_model.safetensors"
_CHUNK_BYTES = 1 << 20


def same_adapter(evidence: Evidence) -> Sequence[Verdict]:
    """Fail on a difference where equal bytes are promised (a processor), warn where they are not (a card)."""
    check = Check("repetition.adapter", "both trainings", "tensors that differ", "0", "design.md, bytes")
    first = evidence.inputs.get("first")
    if first is None:
        return (check.not_measured("the first training is not there"),)
    try:
        differing, count = compare(first / ADAPTER, evidence.folder / ADAPTER)
    except (OSError, FetchError) as error:
        return (check.not_measured(f"the adapters cannot be compared: {error}"),)
    promised = evidence.recipe.train.trainer == "trl"
    return (
        check.judged(
            len(differing),
            fails=bool(differing) and promised,
            warns=bool(differing),
            cause=f"{len(differing)} of {count} tensors differ: a kernel adds in any order, or the machine errs",
            advice="by how much says `python -m pipeline diff RUN/train RUN/train-again`; what could not be switched"
            " says training.deterministic",
            evidence=differing or (f"{count} tensors are equal",),
        ),
    )


def compare(first: Path, second: Path) -> tuple[list[str], int]:
    """Return the tensors that are not in both files or differ in type, shape or bytes, and how many there are in all.

    Raises OSError or FetchError for a file that is not what its name says.
    """
    here, there = _places(first), _places(second)
    with first.open("rb") as one, second.open("rb") as other:
        differing = [
            name
            for name in sorted({*here, *there})
            if name not in here or name not in there or not _equal(one, here[name], other, there[name])
        ]
    return differing, len({*here, *there})


def _places(path: Path) -> dict[str, tuple[tuple[str, list[int]], int, int]]:
    """Return name → (type and shape, first byte in the file, number of bytes) of each tensor."""
    header = read_header(path, path.name)
    start = path.stat().st_size - max((one["data_offsets"][1] for one in header.values()), default=0)
    found = {}
    for name, one in header.items():
        begin, end = one["data_offsets"]
        found[name] = ((one["dtype"], one["shape"]), start + begin, end - begin)
    return found


def _equal(one: BinaryIO, here: tuple[Any, int, int], other: BinaryIO, there: tuple[Any, int, int]) -> bool:
    """Tell whether two tensors are equal; their bytes are read a chunk at a time."""
    (kind, start, left), (other_kind, other_start, other_left) = here, there
    if (kind, left) != (other_kind, other_left):
        return False
    one.seek(start)
    other.seek(other_start)
    while left > 0:
        size = min(left, _CHUNK_BYTES)
        if one.read(size) != other.read(size):
            return False
        left -= size
    return True


repetition_gates: tuple[Gate, ...] = (same_adapter,)
