"""Near duplicates: rows whose sets of character 3-grams have Jaccard similarity at or over the threshold.

MinHash bands propose pairs; each is confirmed by the exact similarity of the two sets before it
counts. Going through the rows in order, a row is dropped when an earlier row *that is kept* is
near it, so every dropped row has a kept twin and no two kept rows that met are near.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .characters import Bools, Integers, Text
from .minhash import Grams, Signatures, banding_for, grams_of, signatures
from .parallel import in_order

_BANDS_AT_ONCE: Final = 8
_MAX_DISTANCE: Final = 512
_MAX_PAIRS_PER_ROW: Final = 4
"""In a crowded bucket a row meets its nearest predecessors and the bucket's first row; later passes see to the rest."""
_MANY_CROWDED: Final = 0.25
_PASSES: Final = 12
_PAIR_CELLS: Final = 1 << 15
_PAIRS_AT_ONCE: Final = 1 << 16
_LONG_ROW: Final = 400

Pairs = npt.NDArray[np.int64]
"""Shape [pairs, 2]: an earlier and a later row."""


@dataclass(frozen=True)
class NearDuplicates:
    """`of[row]` is the kept row for whose sake a row is dropped, or -1; `pairs` are all confirmed pairs.

    `unfinished` counts rows in crowded buckets that were not compared with every other row there.
    """

    of: Integers
    pairs: Pairs
    candidates: int
    unfinished: int


def find_near_duplicates(text: Text, threshold: float, threads: int, same: Integers | None = None) -> NearDuplicates:
    """Find near duplicates among the rows of a folded text.

    `same[row]` is a label: a row is dropped only for an earlier row with the same label (None: for any).
    """
    search = _Search(text, threshold, threads, np.zeros(len(text), np.int64) if same is None else same)
    if len(text) > 1:
        search.run()
    of = search.drops()
    unfinished = int(np.count_nonzero(search.hidden() & (of < 0))) if len(text) > 1 else 0
    return NearDuplicates(of, search.confirmed, search.candidates, unfinished)


class _Search:
    """The state of one search: what was confirmed so far, and which rows still have to meet others."""

    def __init__(self, text: Text, threshold: float, threads: int, same: Integers) -> None:
        rows = len(text)
        self.text, self.threshold, self.threads, self.same = text, threshold, threads, same
        self.confirmed: Pairs = np.zeros((0, 2), np.int64)
        self.candidates = 0
        self.crowded: npt.NDArray[np.uint8] = np.zeros(rows, np.uint8)  # bands in which a row's bucket is crowded
        self.active: Bools = np.ones(rows, np.bool_)

    def run(self) -> None:
        """Go through all bands; again for rows that came back and for crowded buckets, while that finds pairs."""
        self.signatures = signatures(self.text, banding_for(self.threshold, len(self.text)), self.threads)
        wanted: Bools | None = None
        for _ in range(_PASSES):
            before = len(self.confirmed)
            self.crowded[:] = 0
            self._pass(wanted)
            dropped = self.drops() >= 0
            returned = ~self.active & ~dropped
            self.active = ~dropped
            wanted = (returned | self.hidden()) & self.active
            if not returned.any() and (len(self.confirmed) == before or not wanted.any()):
                return

    def _pass(self, wanted: Bools | None) -> None:
        """Look at all bands, eight at a time; rows found to be near an earlier one leave at once."""
        for first in range(0, len(self.signatures.keys), _BANDS_AT_ONCE):
            keys = self.signatures.keys[first : first + _BANDS_AT_ONCE]
            rows = np.flatnonzero(self.active)
            with ThreadPoolExecutor(max_workers=max(self.threads, 1)) as pool:
                found = list(pool.map(_bucket_pairs, keys, [rows] * len(keys), [wanted] * len(keys)))
            packed = _different(np.concatenate([pairs for pairs, _ in found]))
            for _, crowded in found:
                self.crowded[crowded] += np.uint8(1)
            parts = [packed[start : start + _PAIRS_AT_ONCE] for start in range(0, len(packed), _PAIRS_AT_ONCE)]
            likely = in_order(lambda part: self._likely(part, wanted), parts, self.threads)
            self._confirm(np.concatenate([np.zeros((2, 0), np.int64), *likely], axis=1))

    def _likely(self, packed: Any, wanted: Bools | None) -> Pairs:
        """Unpack pairs; return those worth the exact comparison, shape [2, pairs]."""
        pairs = np.stack([packed >> np.uint64(32), packed & np.uint64(0xFFFFFFFF)]).astype(np.int64)
        if wanted is not None:
            pairs = pairs[:, wanted[pairs[0]] | wanted[pairs[1]]]
        likely: Pairs = pairs[:, self.signatures.likely(pairs[0], pairs[1], self.threshold)]
        return likely

    def _confirm(self, likely: Pairs) -> None:
        earlier, later = likely
        self.candidates += len(earlier)
        near = confirm(self.text, self.signatures, earlier, later, self.threshold, self.threads)
        pairs = np.stack([earlier[near], later[near]], axis=1)
        self.active[pairs[self.same[pairs[:, 0]] == self.same[pairs[:, 1]], 1]] = False
        self.confirmed = np.unique(np.concatenate([self.confirmed, pairs]), axis=0) if len(pairs) else self.confirmed

    def hidden(self) -> Bools:
        """Return the rows that sit in crowded buckets in many bands; others meet what is near them elsewhere."""
        found: Bools = self.crowded >= _MANY_CROWDED * len(self.signatures.keys)
        return found

    def drops(self) -> Integers:
        """Decide in row order: a row goes for the first kept row that is near it."""
        of = np.full(len(self.text), -1, dtype=np.int64)
        alike = self.confirmed[self.same[self.confirmed[:, 0]] == self.same[self.confirmed[:, 1]]]
        kept_for: dict[int, int] = {}
        for later, earlier in alike[np.lexsort((alike[:, 0], alike[:, 1]))][:, ::-1].tolist():
            if later not in kept_for and earlier not in kept_for:
                kept_for[later] = earlier
        if kept_for:
            of[np.fromiter(kept_for.keys(), np.int64)] = np.fromiter(kept_for.values(), np.int64)
        return of


def _bucketed(keys: Any, rows: Integers, wanted: Bools | None) -> Integers:
    """Return the rows that may share a bucket with a wanted row (told by half of the key)."""
    if wanted is None:
        return rows
    used = np.zeros(1 << 16, np.bool_)
    used[keys[wanted] >> np.uint32(16)] = True
    found: Integers = rows[used[keys[rows] >> np.uint32(16)]]
    return found


def _different(packed: Any) -> Any:
    """Return sorted numbers, each once: on 64-bit numbers quicker than the hash table of `np.unique`."""
    packed.sort()
    new = np.ones(len(packed), np.bool_)
    new[1:] = packed[1:] != packed[:-1]
    return packed[new]


def _bucket_pairs(keys: Any, rows: Integers, wanted: Bools | None) -> tuple[Any, Integers]:
    """Return pairs of rows that share a key (packed, the earlier row in the high half), and rows in crowded buckets."""
    rows = _bucketed(keys, rows, wanted)
    packed = np.sort((keys[rows].astype(np.uint64) << np.uint64(32)) | rows.astype(np.uint64))
    bucket, row = packed >> np.uint64(32), packed & np.uint64(0xFFFFFFFF)
    found, total, distance = [], 0, 1
    together = np.flatnonzero(bucket[1:] == bucket[:-1])
    while len(together) and distance <= _MAX_DISTANCE and total <= _MAX_PAIRS_PER_ROW * max(len(rows), 50_000):
        found.append((row[together] << np.uint64(32)) | row[together + distance])
        total += len(together)
        distance += 1
        together = together[together + distance < len(bucket)]
        together = together[bucket[together + distance] == bucket[together]]
    later = together + distance
    first = np.searchsorted(bucket, bucket[later])
    found.append((row[first] << np.uint64(32)) | row[later])
    return np.concatenate(found), row[np.union1d(first, later)].astype(np.int64)


def confirm(text: Text, known: Signatures, earlier: Integers, later: Integers, threshold: float, threads: int) -> Bools:
    """Return which pairs have an exact Jaccard similarity at or over the threshold."""
    near = np.zeros(len(earlier), dtype=np.bool_)
    width = np.maximum(text.lengths[earlier], text.lengths[later])
    order = np.argsort(width, kind="stable")
    bounds = [0]
    while bounds[-1] < len(order):
        step = max(_PAIR_CELLS // max(int(width[order[bounds[-1]]]), 1), 1)
        bounds.append(min(bounds[-1] + step, len(order)))

    def work(bound: tuple[int, int]) -> None:
        pairs = order[bound[0] : bound[1]]
        shared = _shared(text, earlier[pairs], later[pairs])
        union = known.sizes[earlier[pairs]] + known.sizes[later[pairs]] - shared
        near[pairs] = shared >= threshold * union

    with ThreadPoolExecutor(max_workers=max(threads, 1)) as pool:
        for _ in pool.map(work, pairwise(bounds)):
            pass
    return near


def _shared(text: Text, earlier: Integers, later: Integers) -> Integers:
    """Count the different 3-grams that each pair of rows shares."""
    first, _ = grams_of(text, earlier)
    second, counts = grams_of(text, later)
    first.sort(axis=1)
    if first.shape[1] > _LONG_ROW:
        return np.array([len(np.intersect1d(a, b)) for a, b in zip(first, second, strict=True)], dtype=np.int64)
    return _shared_short(first, second, int(counts.max(initial=0)))


def _shared_short(first: Grams, second: Grams, width: int) -> Integers:
    """Compare all cells with all cells: for titles quicker than any sorted merge."""
    shared = np.zeros(first.shape, dtype=np.bool_)
    scratch = np.empty_like(shared)
    for column in range(width):
        np.equal(first, second[:, column : column + 1], out=scratch)
        shared |= scratch
    shared[:, 1:] &= first[:, 1:] != first[:, :-1]  # sorted: a repeated gram counts once
    count: Integers = np.count_nonzero(shared, axis=1)
    return count
