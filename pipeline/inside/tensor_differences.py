"""Two tensor files held against each other: what they say, and how far apart their numbers are, tensor by tensor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .job import Job, JobError, progress, write_json
from .tensor_tables import Stored, Table, read_table

SIDES: Final = ("first", "second")
_DIGITS: Final = 9


def main(job: Job) -> None:
    """Write `differences.json` for the one file of the input `first` and that of `second`, both of one suffix.

    It holds `metadata` of both sides, and `tensors`: `missing` and `extra` names, `moved` (another order), `equal`
    (how many), and `changed`, an entry for each. A side that cannot be read stands under `unreadable`.
    """
    tables: dict[str, Table] = {}
    unreadable = {}
    for side in SIDES:
        (path,) = job.inputs[side].iterdir()
        try:
            tables[side] = read_table(path)
        except JobError as error:
            unreadable[side] = error.what
    if unreadable:
        write_json(job.output / "differences.json", {"unreadable": unreadable})
        return
    first, second = tables["first"], tables["second"]
    found = {
        "metadata": {side: dict(table.metadata) for side, table in tables.items()},
        "tensors": compare_tables(first.tensors, second.tensors),
    }
    write_json(job.output / "differences.json", found)


def compare_tables(first: Mapping[str, Stored], second: Mapping[str, Stored]) -> dict[str, Any]:
    """Return what differs between the tensors of two files, in the first file's order."""
    shared = [name for name in first if name in second]
    changed = []
    for done, name in enumerate(shared, 1):
        difference = compare(first[name], second[name])
        if difference:
            changed.append({"name": name, **difference})
        progress("differences.tensor", done, len(shared))
    return {
        "missing": [name for name in first if name not in second],
        "extra": [name for name in second if name not in first],
        "moved": shared != [name for name in second if name in first],
        "equal": len(shared) - len(changed),
        "changed": changed,
    }


def compare(first: Stored, second: Stored) -> dict[str, Any]:
    """Return how two tensors differ; empty when every byte is equal and means the same.

    `numbers`: how many differ, of how many; the first one (`index`, row-major, with both values); the largest and
    the mean absolute difference over all numbers that are finite on both sides. Numbers of other types are compared
    as float64; of other shapes they are not compared.
    """
    found: dict[str, Any] = {}
    if first.type != second.type:
        found["type"] = [first.type, second.type]
    if first.shape != second.shape:
        return {**found, "shape": [list(first.shape), list(second.shape)]}
    if not found and np.array_equal(first.content.view(np.uint8), second.content.view(np.uint8)):
        return {}
    return {**found, "shape": list(first.shape), **numbers(first, second)}


def numbers(first: Stored, second: Stored) -> dict[str, Any]:
    """Return the differences between the numbers of two tensors of one shape."""
    differing, finite, total, largest = 0, 0, 0.0, 0.0
    found: dict[str, Any] = {}
    for start, one, other in _pairs(first, second):
        unequal = (one != other) & ~(np.isnan(one) & np.isnan(other))
        where = np.flatnonzero(unequal)
        if len(where) and "index" not in found:
            at = int(where[0])
            place = np.unravel_index(start + at, first.shape) if first.shape else ()
            found = {"index": [int(one) for one in place], "first": _told(one[at]), "second": _told(other[at])}
        both = np.isfinite(one) & np.isfinite(other)
        distance = np.abs(one[both] - other[both])
        differing, finite = differing + len(where), finite + int(both.sum())
        total += float(distance.sum())
        largest = max(largest, float(distance.max(initial=0)))
    told = {"numbers": first.count, "differing": differing, "largest": round(largest, _DIGITS), **found}
    return {**told, "mean": round(total / finite, _DIGITS) if finite else None}


def _pairs(first: Stored, second: Stored) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.float64]]]:
    for (start, one), (_, other) in zip(first.chunks(), second.chunks(), strict=True):
        yield start, one.astype(np.float64).reshape(-1), other.astype(np.float64).reshape(-1)


def _told(value: np.float64) -> float | str:
    return float(value) if np.isfinite(value) else str(value)
