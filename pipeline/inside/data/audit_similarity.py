"""Equal and similar rows of what was written, found by an inverted index of 3-grams: exact, no hashing.

Up to `EXACT_ROWS` rows every row is compared with every other. Above, a seeded sample of rows (half of
it from the held-out splits) is compared with all rows, and the result says that it was sampled.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .arrow import numbers
from .audit_text import Column
from .parallel import in_order

EXACT_ROWS: Final = 20_000
PROBES: Final = 1_500
_CHUNK_ROWS: Final = 100_000
_FILTER_BITS: Final = 22
_GRAM: Final = 3
_SHARED_AT_LEAST: Final = 4

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Similar:
    """Pairs of rows [n, 2] at or over the threshold, with their similarity; how many rows were probed."""

    pairs: Numbers
    jaccard: npt.NDArray[np.float64]
    probes: int


def equal_pairs(column: Column) -> Numbers:
    """Return [n, 2]: every row that equals an earlier one, after the first row of its text."""
    encoded: Any = column.words().dictionary_encode()
    label = numbers(encoded.indices)
    order = np.argsort(label, kind="stable")
    same = np.flatnonzero(label[order][1:] == label[order][:-1]) + 1
    leader = np.zeros(int(label.max(initial=-1)) + 1, np.int64)
    leader[label[order][::-1]] = order[::-1]
    return np.stack([leader[label[order[same]]], order[same]], axis=1)


def choose_probes(rows: int, held_out: Numbers, seed: int) -> Numbers:
    """Return the rows to compare with all others: all of them, or a sample."""
    if rows <= EXACT_ROWS:
        return np.arange(rows)
    chance = random.Random(seed)
    half = chance.sample(held_out.tolist(), min(PROBES // 2, len(held_out)))
    chosen = set(half) | set(chance.sample(range(rows), PROBES - len(half)))
    return np.array(sorted(chosen), np.int64)


def similar_pairs(column: Column, probes: Numbers, threshold: float, threads: int = 1) -> Similar:
    """Return all pairs of a probe and any other row with Jaccard similarity at or over the threshold."""
    index = _Index(column, probes, threshold, threads)
    found: dict[tuple[int, int], float] = {}
    for probe in probes.tolist():
        for row, score in index.near(probe):
            found[min(probe, row), max(probe, row)] = score
    pairs = np.array(sorted(found), np.int64).reshape(-1, 2)
    return Similar(pairs, np.array([found[pair] for pair in sorted(found)]), len(probes))


class _Index:
    """For each rare 3-gram of a probe, the rows that hold it."""

    def __init__(self, column: Column, probes: Numbers, threshold: float, threads: int) -> None:
        self._column = column
        self._threshold = threshold
        self._counts = _occurrences(column, threads)
        rare = [self._prefix(_row_grams(column, probe))[0] for probe in probes.tolist()]
        self._wanted = _different(np.concatenate([*rare, np.zeros(0, np.uint64)]))
        filled = np.zeros(1 << _FILTER_BITS, np.bool_)
        filled[_slot(self._wanted)] = True
        found = in_order(lambda start: _look_up(column, start, self._wanted, filled), _starts(column), threads)
        packed = np.sort(np.concatenate([*found, np.zeros(0, np.int64)]))
        self._rows = packed & 0xFFFFFFFF
        self._bounds = np.searchsorted(packed >> 32, np.arange(len(self._wanted) + 1))

    def _prefix(self, grams: Any) -> tuple[Any, int]:
        """Return a row's rarest grams, and how many of them every row near it holds.

        A near row shares at least m = ceil(t·n) of the n grams, so of any p of them at least p - (n - m).
        """
        most_missing = len(grams) - int(np.ceil(self._threshold * len(grams) - 1e-9))
        size = min(len(grams), most_missing + _SHARED_AT_LEAST)
        order = np.argsort(self._counts[_slot(grams)], kind="stable")
        return grams[order[:size]], size - most_missing

    def near(self, probe: int) -> Iterator[tuple[int, float]]:
        """Yield the rows near a probe with their similarity."""
        grams = _row_grams(self._column, probe)
        if len(grams) == 0:
            return  # an empty row is counted as broken
        prefix, least = self._prefix(grams)
        terms = np.searchsorted(self._wanted, prefix).tolist()
        rows = np.sort(np.concatenate([self._rows[self._bounds[term] : self._bounds[term + 1]] for term in terms]))
        ahead = rows[least - 1 :]
        for row in _different(ahead[ahead == rows[: len(ahead)]]).tolist():
            if row != probe and (score := _jaccard(grams, _row_grams(self._column, row))) >= self._threshold:
                yield row, score


def _jaccard(first: Any, second: Any) -> float:
    """Return the similarity of two sorted sets."""
    both = np.sort(np.concatenate([first, second]))
    shared = int(np.count_nonzero(both[1:] == both[:-1]))
    return shared / (len(both) - shared)


def _different(values: Any) -> Any:
    """Return numbers sorted, each once."""
    values = np.sort(values)
    new = np.ones(len(values), np.bool_)
    new[1:] = values[1:] != values[:-1]
    return values[new]


def _starts(column: Column) -> range:
    return range(0, len(column.sizes), _CHUNK_ROWS)


def _occurrences(column: Column, threads: int) -> Any:
    """Return about how often each gram occurs, by its slot. It only ranks grams, so slots may be shared."""

    def count(start: int) -> Any:
        grams, _ = _flat_grams(column, start, min(start + _CHUNK_ROWS, len(column.sizes)))
        return np.bincount(_slot(grams), minlength=1 << _FILTER_BITS).astype(np.int32)

    counts = np.zeros(1 << _FILTER_BITS, np.int32)
    for found in in_order(count, _starts(column), threads):
        counts += found
    return counts


def _look_up(column: Column, start: int, wanted: Any, filled: Any) -> Numbers:
    """Return (number of the gram << 32 | row) for the wanted grams in some rows, each once."""
    grams, owners = _flat_grams(column, start, min(start + _CHUNK_ROWS, len(column.sizes)))
    likely = filled[_slot(grams)]
    grams, owners = grams[likely], owners[likely]
    if len(wanted) == 0 or len(grams) == 0:
        return np.zeros(0, np.int64)
    place = np.searchsorted(wanted, grams).clip(max=len(wanted) - 1)
    hit = wanted[place] == grams
    found: Numbers = _different((place[hit] << 32) | owners[hit])
    return found


def _slot(grams: Any) -> Any:
    return ((grams * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - _FILTER_BITS)).astype(np.int64)


def _row_grams(column: Column, row: int) -> Any:
    """Return one row's different 3-grams, sorted."""
    codes = column.codes[column.ends[row] : column.ends[row + 1]].astype(np.uint64)
    if 0 < len(codes) < _GRAM:
        codes = np.concatenate([codes, np.zeros(_GRAM - len(codes), np.uint64)])
    return _different(_packed(codes[:-2], codes[1:-1], codes[2:]))


def _flat_grams(column: Column, start: int, stop: int) -> tuple[Any, Numbers]:
    """Return the 3-grams of rows start:stop as 63-bit numbers, and their rows. One or two code points are one gram."""
    ends = column.ends[start : stop + 1]
    sizes = ends[1:] - ends[:-1]
    if sizes.min(initial=_GRAM) >= _GRAM:
        codes = column.codes[ends[0] : ends[-1]].astype(np.uint64)
        return _within(codes, sizes, start)
    sizes = np.where(sizes > 0, np.maximum(sizes, _GRAM), 0)
    codes = np.zeros(int(sizes.sum()), np.uint64)
    shift = np.cumsum(sizes) - sizes - (ends[:-1] - ends[0])
    codes[np.arange(int(ends[-1] - ends[0])) + np.repeat(shift, ends[1:] - ends[:-1])] = column.codes[
        ends[0] : ends[-1]
    ]
    return _within(codes, sizes, start)


def _within(codes: Any, sizes: Numbers, start: int) -> tuple[Any, Numbers]:
    """Return the 3-grams that do not cross from one row into the next; no row has one or two codes."""
    grams = _packed(codes[:-2], codes[1:-1], codes[2:])
    whole = np.ones(len(codes), np.bool_)
    last = np.cumsum(sizes)[sizes > 0]
    whole[last - 1] = False
    whole[last - 2] = False
    owners = np.repeat(np.arange(start, start + len(sizes)), np.where(sizes > 0, sizes - 2, 0))
    return grams[whole[: len(grams)]], owners


def _packed(first: Any, second: Any, third: Any) -> Any:
    return (first << np.uint64(42)) | (second << np.uint64(21)) | third
