"""MinHash signatures of character 3-grams, as one key per band and row.

Two rows whose sets of 3-grams have Jaccard similarity s agree in a band of r minima with
probability s**r, so they meet in at least one of b bands with probability 1 - (1 - s**r)**b.
Each hash function gives two of them, its least and its greatest value (which rows share with the same
probability); no band holds both. They depend only on a row's own text: neither chunk nor thread
changes a key.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .characters import Integers, Text

GRAM: Final = 3
_CHUNK_CELLS: Final = 1 << 16  # 3-grams of one chunk: 32-bit hashes and a scratch copy stay in a core's cache
_MANY_ROWS: Final = 20_000
_MISS: Final = 2e-4
_MISS_FEW: Final = 1e-7
_DEVIATIONS: Final = 3.8
_DEVIATIONS_FEW: Final = 5.5
_MAX_BANDS: Final = 128
_SKETCH_BYTES: Final = 64

Hashes = npt.NDArray[np.uint32]
Grams = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Banding:
    """How signatures are cut: `bands` bands of `rows` minima."""

    bands: int
    rows: int

    def recall(self, jaccard: float) -> float:
        """Return the probability that two rows of this similarity become a candidate pair."""
        return float(1 - (1 - jaccard**self.rows) ** self.bands)


def banding_for(threshold: float, rows: int) -> Banding:
    """Choose bands so that a pair exactly at the threshold is missed less than twice in ten thousand.

    A small set can afford shorter and more bands, which propose more pairs to confirm: there one in ten
    million is missed, because the audit compares every row with every other and finds it.
    At most 128 bands: below Jaccard 0.26 the promise does not hold, and a recipe gets what they give.
    """
    longest, miss = (4, _MISS) if rows > _MANY_ROWS else (3, _MISS_FEW)
    for size in range(longest, 0, -1):
        meets = min(threshold**size, 1 - 1e-9)
        bands = int(np.ceil(np.log(miss) / np.log(1 - meets)))
        if bands <= _MAX_BANDS or size == 1:
            return Banding(min(max(bands, 8), _MAX_BANDS), size)
    raise AssertionError("size 1 always returns")


def grams_of(text: Text, rows: Integers) -> tuple[Grams, Integers]:
    """Return the 3-grams of some rows as exact numbers, shape [rows, longest], and how many each row has.

    Three code points of 21 bits make one number. A shorter row has one gram, filled up with zeros; the
    cells after a row's last gram repeat it, which changes neither a minimum nor a set.
    """
    lengths = text.lengths[rows]
    counts = np.maximum(lengths - (GRAM - 1), 1)
    width = int(counts.max(initial=1))
    columns = np.minimum(np.arange(width), counts[:, None] - 1)
    first = text.offsets[rows][:, None] + columns
    codes = text.codes
    if lengths.min(initial=GRAM) >= GRAM:
        parts = [codes[first + step] for step in range(GRAM)]
    else:
        padded = np.append(codes, np.uint32(0))
        inside = [columns + step < lengths[:, None] for step in range(GRAM)]
        parts = [np.where(inside[step], padded[np.minimum(first + step, len(codes))], 0) for step in range(GRAM)]
    grams = parts[0].astype(np.uint64) << np.uint64(42)
    grams |= parts[1].astype(np.uint64) << np.uint64(21)
    grams |= parts[2].astype(np.uint64)
    return grams, counts


@dataclass(frozen=True)
class Signatures:
    """`keys[band, row]`; `sketches[row]`, a byte of each first minimum; each row's number of different 3-grams."""

    keys: Hashes
    sketches: npt.NDArray[np.uint8]
    sizes: Integers

    def likely(self, earlier: Integers, later: Integers, threshold: float) -> npt.NDArray[np.bool_]:
        """Return which pairs agree enough in size and in sketch bytes to be worth the exact comparison.

        A pair exactly at the threshold agrees in n·t bytes on average; one in ten thousand such pairs
        falls below the limit of 3.8 standard deviations less, one in fifty million below that of small sets, 5.5.
        """
        count = self.sketches.shape[1]
        deviations = _DEVIATIONS if len(self.sizes) > _MANY_ROWS else _DEVIATIONS_FEW
        least = count * threshold - deviations * np.sqrt(count * threshold * (1 - threshold))
        first, second = self.sizes[earlier], self.sizes[later]
        found: npt.NDArray[np.bool_] = np.minimum(first, second) >= threshold * np.maximum(first, second)
        close = np.flatnonzero(found)
        alike = self.sketches[earlier[close]] == self.sketches[later[close]]
        found[close] = _set_bytes(alike) >= least
        return found


def _set_bytes(flags: npt.NDArray[np.bool_]) -> Integers:
    """Count the flags of each row, eight at a time: a row's words added up hold eight sums of at most 255 each."""
    words = flags.view(np.uint64).sum(axis=1, dtype=np.uint64)
    count: Integers = ((words * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.int64)
    return count


def signatures(text: Text, banding: Banding, threads: int) -> Signatures:
    """Compute every row's band keys and its number of different 3-grams."""
    rows = len(text)
    factors = _functions(banding)
    keys = np.empty((banding.bands, rows), dtype=np.uint32)
    sizes = np.empty(rows, dtype=np.int64)
    sketches = np.empty((rows, _sketch_bytes(factors)), dtype=np.uint8)

    def work(chunk: Integers) -> None:
        grams, _ = grams_of(text, chunk)
        sizes[chunk] = distinct(grams)
        keys[:, chunk], sketches[chunk] = _band_keys(_scrambled(grams), banding, factors)

    with ThreadPoolExecutor(max_workers=max(threads, 1)) as pool:
        for _ in pool.map(work, _chunks(text)):
            pass
    return Signatures(keys, sketches, sizes)


def _chunks(text: Text) -> Iterator[Integers]:
    """Yield rows of about the same length together, a cache's worth at a time."""
    lengths = text.lengths
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(_CHUNK_CELLS // max(int(lengths[order[start]]), 1), 1)
        longest = int(lengths[order[min(start + size, len(order)) - 1]])
        size = max(min(size, _CHUNK_CELLS // max(longest, 1)), 1)
        yield order[start : start + size]
        start += size


def _functions(banding: Banding) -> list[Any]:
    """Return the odd factors of the hash functions, the same on every machine (splitmix64)."""
    count = (banding.bands + 1) // 2 * banding.rows
    mixed = _mix(np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return list((mixed >> np.uint64(32)).astype(np.uint32) | np.uint32(1))


def _sketch_bytes(factors: list[Any]) -> int:
    """Return the width of a sketch: whole words of eight, at most as many bytes as there are extremes."""
    return min(_SKETCH_BYTES, 2 * len(factors) // 8 * 8)


def _mix(values: Grams) -> Grams:
    """Mix the bits of 64-bit numbers (the finisher of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _scrambled(grams: Grams) -> Hashes:
    """Return 32-bit hashes of grams, shape [grams, rows] so that minima run over whole rows of memory."""
    return np.ascontiguousarray((_mix(grams) >> np.uint64(32)).astype(np.uint32).T)


def _band_keys(hashes: Hashes, banding: Banding, factors: list[Any]) -> tuple[Hashes, Any]:
    """Return the band keys, shape [bands, rows], and the sketches, shape [rows, bytes]."""
    rows = hashes.shape[1]
    extremes = np.empty((2 * len(factors), rows), dtype=np.uint32)  # the least values, then the greatest
    scratch = np.empty_like(hashes)
    for number, factor in enumerate(factors):
        np.multiply(hashes, factor, out=scratch)
        np.minimum.reduce(scratch, axis=0, out=extremes[number])
        np.maximum.reduce(scratch, axis=0, out=extremes[len(factors) + number])
    keys = np.zeros((banding.bands, rows), dtype=np.uint64)
    wanted = banding.bands * banding.rows
    for step in range(banding.rows):
        keys = _mix(keys ^ extremes[step : wanted : banding.rows])
    # Least values are small numbers: multiplied, their high byte differs in 255 of 256 pairs of different ones.
    spread = np.linspace(0, len(extremes), _sketch_bytes(factors), endpoint=False).astype(np.int64)
    sketches = (extremes[spread] * np.uint32(0x9E3779B1) >> np.uint32(24)).astype(np.uint8)
    return (keys >> np.uint64(32)).astype(np.uint32), sketches.T


def distinct(grams: Grams) -> Integers:
    """Count the different numbers in each row of a matrix."""
    ordered = np.sort(grams, axis=1)
    count: Integers = 1 + np.count_nonzero(ordered[:, 1:] != ordered[:, :-1], axis=1)
    return count
