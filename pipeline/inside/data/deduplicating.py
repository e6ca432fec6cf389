"""Which rows say the same? The recipe's `clean.duplicate_key` decides what is compared.

`output` (titles): two rows with the same answer are duplicates, whatever their input.
`row` (questions and answers): two rows are duplicates when input *and* output are the same; the same
answer may serve several questions, and two different answers to one question both stay (a person
has to choose), but near questions are kept in one split.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .batch import Columns
from .characters import Bools, Integers, Text
from .cleaning import Settings
from .exact_duplicates import first_rows, labels
from .folding import fold, side_by_side
from .near_duplicates import find_near_duplicates
from .reasons import KEPT
from .rows import Table


@dataclass(frozen=True)
class Folded:
    """Folded answers, and folded inputs (empty unless they count), of the rows that are clean."""

    answers: Text
    questions: Text


@dataclass(frozen=True)
class Duplicates:
    """`of[row]` is the kept row for whose sake a raw row was dropped, or -1.

    `links`, shape [n, 2], are pairs of raw rows that are the same or near: they stay in one split. `spared` are the
    rows that are kept only because a person wants them, and would be near duplicates.
    """

    of: Integers
    links: Any
    spared: Bools
    candidates: int
    unfinished: int


def fold_clean(texts: dict[str, Text], reasons: Any, columns: Columns, settings: Settings) -> tuple[Text, Text]:
    """Fold the answers of the rows that are clean and, where the recipe compares rows, their inputs."""
    clean = np.flatnonzero(reasons == KEPT)
    answer = fold(texts[columns.output].take(clean))
    if settings.duplicate_key == "output":
        return answer, Text(np.zeros(0, np.uint32), np.zeros(len(answer) + 1, np.int64))
    return answer, side_by_side([fold(texts[name].take(clean)) for name in columns.input])


def remove_duplicates(table: Table, folded: Folded, settings: Settings, threads: int, spared: Bools) -> Duplicates:
    """Drop exact and near duplicates in the table, unless the recipe keeps them; link what belongs together.

    A row that is `spared` is no near duplicate of any row, and no row is one of it. Equal to another it goes.
    """
    rows = table.kept()
    answer = labels(folded.answers)
    text, same = folded.answers, None
    whole = answer
    if settings.duplicate_key == "row":
        text, same = folded.questions, answer
        whole = _pair_labels(labels(folded.questions), answer)
    first = first_rows(whole)
    repeated = np.flatnonzero(first != np.arange(len(rows)))
    unique = np.flatnonzero(first == np.arange(len(rows)))
    label = _set_apart(same, spared[rows])
    near = find_near_duplicates(
        text.take(unique), settings.near_duplicate_jaccard, threads, None if label is None else label[unique]
    )
    twin = np.arange(len(rows))
    dropped = unique[near.of >= 0]
    twin[dropped] = unique[near.of[near.of >= 0]]
    twin[repeated] = twin[first[repeated]]
    of = np.full(len(table), -1, np.int64)
    if settings.drop_duplicates:
        of[rows[repeated]] = rows[twin[repeated]]
        of[rows[dropped]] = rows[twin[dropped]]
        table.drop(rows[repeated], "exact-duplicate")
        table.drop(rows[dropped], "near-duplicate")
    links = np.concatenate([np.stack([first[repeated], repeated], axis=1), unique[near.pairs]])
    alone = np.zeros(len(table), np.bool_)
    if settings.drop_duplicates:
        alone[rows[_near_earlier(unique[near.pairs], same, spared[rows], table.reason[rows] == KEPT)]] = True
    return Duplicates(of, rows[links], alone, near.candidates, near.unfinished)


def _set_apart(same: Integers | None, spared: Bools) -> Integers | None:
    """Return the labels under which rows are near duplicates, a spared row's all its own."""
    if not spared.any():
        return same
    label = np.zeros(len(spared), np.int64) if same is None else same.copy()
    label[spared] = label.max() + 1 + np.arange(np.count_nonzero(spared))
    return label


def _near_earlier(pairs: Integers, same: Integers | None, spared: Bools, kept: Bools) -> Integers:
    """Return the spared rows that are near an earlier row that is kept (with the same answer, where answers count)."""
    found = spared[pairs[:, 1]] & kept[pairs[:, 0]] & kept[pairs[:, 1]]
    if same is not None:
        found &= same[pairs[:, 0]] == same[pairs[:, 1]]
    rows: Integers = pairs[found, 1]
    return rows


def _pair_labels(first: Integers, second: Integers) -> Integers:
    _, label = np.unique(first * (int(second.max(initial=0)) + 1) + second, return_inverse=True)
    found: Integers = label.astype(np.int64)
    return found
