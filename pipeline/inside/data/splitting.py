"""Train, validation and test: stratified by category, whole groups and clusters, decided by content.

Rows that share a group, or belong to one cluster of near duplicates, form a unit that stays in one
split. Units are ordered by a hash of the seed and of their rows' content, so neither the order of
the raw rows nor a row added elsewhere in the file decides; each split gets its share of every
category as nearly as whole units allow, and exactly its share in all where units are single rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .characters import Integers

SPLITS: Final = ("train", "validation", "test")

_LARGEST_SHARE: Final = 0.2

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Shares:
    """The recipe's table `[split]`; shares in the order of `SPLITS`."""

    shares: tuple[float, float, float]
    seed: int

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Shares:
        """Read the recipe's table."""
        train, validation, test = (float(parameters[name]) for name in SPLITS)
        return cls((train, validation, test), int(parameters["seed"]))


def split(identities: Hashes, categories: Integers, units: Integers, shares: Shares) -> npt.NDArray[np.uint8]:
    """Return the split of each row, as an index of `SPLITS`.

    `identities` are hashes of the rows' content, all different; `categories` are labels in a stable
    order; rows with the same label in `units` stay together.
    """
    keys = _mixed(identities, shares.seed)
    _, unit = np.unique(units, return_inverse=True)
    size = np.bincount(unit)
    key = np.full(len(size), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(key, unit, keys)
    targets = _targets(np.bincount(categories), np.array(shares.shares))
    assigned = np.zeros(len(size), np.uint8)
    left = targets.astype(np.int64)
    large = np.flatnonzero(size > 1)
    _place_large(large[np.lexsort((key[large], -size[large]))], unit, categories, assigned, left)
    _place_single(np.flatnonzero(size[unit] == 1), keys, unit, categories, assigned, left)
    return assigned[unit]


def _mixed(identities: Hashes, seed: int) -> Hashes:
    """Mix a seed into hashes (the finisher of splitmix64): another seed gives another order."""
    values = identities + np.uint64((seed * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) % 2**64)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _targets(counts: Integers, shares: Any) -> npt.NDArray[np.int64]:
    """Return rows per category and split: whole numbers, right in each category to within one row.

    What rounding leaves is carried from category to category, so many small categories still add
    up to the shares of the whole.
    """
    ends = np.concatenate([[0.0], np.cumsum(counts, dtype=np.float64)])
    held_out = np.diff(np.floor(ends[:, None] * shares[None, 1:] / shares.sum() + 0.5), axis=0).astype(np.int64)
    train = counts - held_out.sum(axis=1)
    targets: npt.NDArray[np.int64] = np.column_stack([train, held_out])
    for row in targets[targets[:, 0] < 0]:  # a category of one row that both held-out splits claim
        row[np.argmax(row)] += row[0]
        row[0] = 0
    return targets


def _place_large(large: Integers, unit: Integers, categories: Integers, assigned: Any, left: Any) -> None:
    """Put units of several rows, the largest first, where their categories are wanted most.

    A held-out split takes a unit only while it has room for all of it, and one that would fill more
    than a fifth of it only when train has no room; train takes any surplus.
    """
    targets = np.maximum(left, 1)
    limits = left.sum(axis=0) * _LARGEST_SHARE
    order = np.argsort(unit, kind="stable")
    starts = np.searchsorted(unit[order], large)
    stops = np.searchsorted(unit[order], large, side="right")
    for number, start, stop in zip(large.tolist(), starts.tolist(), stops.tolist(), strict=True):
        counts = np.bincount(categories[order[start:stop]], minlength=len(left))
        room = left.sum(axis=0)
        score = (counts[:, None] * left / targets).sum(axis=0)
        size = stop - start
        score[1:][(room[1:] < size) | ((size > limits[1:]) & (room[0] >= size))] = -np.inf
        choice = int(np.argmax(score))
        assigned[number] = choice
        left[:, choice] -= counts


def _place_single(rows: Integers, keys: Hashes, unit: Integers, categories: Integers, assigned: Any, left: Any) -> None:
    """Fill what is left of every category with single rows, in the order of their keys."""
    order = rows[np.lexsort((keys[rows], categories[rows]))]
    kinds = categories[order]
    counts = np.bincount(kinds, minlength=len(left))
    room = left.clip(min=0)
    room[:, 0] = np.maximum(counts - room[:, 1:].sum(axis=1), 0)
    ends = np.concatenate([room[:, 1:], room[:, :1]], axis=1).cumsum(axis=1)  # held-out splits first
    rank = np.arange(len(order)) - np.searchsorted(kinds, kinds)
    place = (rank[:, None] >= ends[kinds][:, :2]).sum(axis=1)
    assigned[unit[order]] = np.array([1, 2, 0], np.uint8)[place]


def units_of(rows: int, links: Any) -> Integers:
    """Return a label per row: the first row of its connected component over `links`, shape [n, 2]."""
    linked = np.unique(links).tolist()
    parent = dict(zip(linked, linked, strict=True))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for first, second in links.tolist():
        low, high = sorted((root(first), root(second)))
        parent[high] = low
    found = np.arange(rows)
    found[linked] = [root(row) for row in linked]
    return found


def group_links(groups: Integers) -> Any:
    """Return links between rows with the same label; a negative label is no group."""
    rows = np.flatnonzero(groups >= 0)
    order = rows[np.argsort(groups[rows], kind="stable")]
    same = groups[order][1:] == groups[order][:-1]
    return np.stack([order[:-1][same], order[1:][same]], axis=1)
