"""How sure a difference is: paired bootstrap intervals (Koehn 2004; Efron and Tibshirani 1993, percentiles).

Resamples are counts of prompts, and everything that is summed over them is an integer, so no sum depends on the order
in which a processor adds.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Values = NDArray[np.float64]
Direction = Literal["higher", "lower", ""]

RESAMPLES = 2000
SEED = 0
LEVEL = 0.95
LEAST_PAIRS = 30
"""Under this many prompts (or windows of text) no verdict is given: percentile intervals of a skewed score are too
narrow there, and a few prompts decide. The gate `improvement.answers` draws its line at the same number."""
SCALE = 10**9
"""Scores of one answer are summed as whole billionths."""


class Resamples:
    """`RESAMPLES` drawings of as many prompts as there are, with replacement; the same for every score and form."""

    def __init__(self, prompts: int) -> None:
        drawn = np.random.Generator(np.random.PCG64(SEED)).integers(0, prompts, size=(RESAMPLES, prompts))
        places = drawn + np.arange(RESAMPLES)[:, None] * prompts
        self._times: Counts = np.bincount(places.ravel(), minlength=RESAMPLES * prompts).reshape(drawn.shape)

    def sums(self, counts: Counts) -> Counts:
        """Return the sums of per-prompt counts [prompts, columns] in each resample, [resamples, columns]."""
        found: Counts = self._times @ counts
        return found

    def means(self, rows: Sequence[Sequence[float | None]]) -> Values:
        """Return the mean of each column in each resample, over the rows in which every value was measured.

        `rows` are the prompts; the result has [resamples, columns], fewer where a resample drew no measured row.
        """
        columns = len(rows[0])
        whole = [
            [*(round(value * SCALE) for value in row if value is not None), 1]
            if None not in row
            else [0] * (columns + 1)
            for row in rows
        ]
        sums = self.sums(np.array(whole, dtype=np.int64))
        drawn = sums[sums[:, -1] > 0]
        found: Values = drawn[:, :-1] / (drawn[:, -1:] * SCALE)
        return found


@functools.cache
def resamples(prompts: int) -> Resamples:
    """Return the resamples of so many prompts, drawn once."""
    return Resamples(prompts)


def interval(differences: Values) -> tuple[float, float]:
    """Return the bounds that hold the middle `LEVEL` of the resampled differences."""
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(differences, [tail, 100 - tail])
    return float(low), float(high)


def verdict(low: float, high: float, better: Direction, pairs: int, unit: str = "prompts") -> str:
    """Return what an interval allows to say. Without a better direction a shown difference is `different`."""
    if pairs < LEAST_PAIRS:
        return f"too few {unit}"
    if low <= 0 <= high:
        return "no difference shown"
    if not better:
        return "different"
    return "better" if (low > 0) == (better == "higher") else "worse"


def toward(first: Values, second: Values, aim: Values) -> str:
    """Return which of two resampled means the interval shows to be nearer to a third one; empty if neither."""
    low, high = interval(abs(second - aim) - abs(first - aim))
    if low <= 0 <= high:
        return ""
    return ", nearer to the references" if high < 0 else ", farther from the references"


def settings() -> dict[str, Any]:
    """Return how intervals are made, for the output."""
    return {"level": LEVEL, "resamples": RESAMPLES, "seed": SEED, "least_pairs": LEAST_PAIRS}
