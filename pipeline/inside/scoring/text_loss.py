"""Losses and divergences over text, window by window: windows are what an interval draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .. import compare
from ..top_logits import losses
from .bootstrap import SCALE, Counts, Values, resamples

_LARGEST_LOSS: Final = 700.0
"""exp of more is no number."""


def of_windows(records: NDArray[Any], lengths: Sequence[int]) -> Counts:
    """Return each window's loss in billionths of a nat and its predicted tokens, int64 [windows, 2].

    `records` are those of `top_logits` for all positions, all finite; `lengths` the windows' numbers of tokens.
    """
    starts = np.cumsum([0, *lengths]).tolist()
    told = [losses(np.asarray(records[start:end])).tolist() for start, end in pairwise(starts)]
    return np.array([(sum(round(one * SCALE) for one in window), len(window)) for window in told], dtype=np.int64)


def divergences(base: compare.Form, form: compare.Form, lengths: Sequence[int]) -> Counts:
    """Return each window's KL(base‖form) in billionths of a nat and its positions, int64 [windows, 2].

    Both have read the same windows, and all their logits are finite; `compare` says over which classes of tokens.
    """
    vocabulary = min(base.vocabulary, form.vocabulary)
    found = [row[0] for block in compare.blocks(base.records, form.records, vocabulary) for row in block]
    starts = np.cumsum([0, *lengths]).tolist()
    told = [found[start:end] for start, end in pairwise(starts)]
    return np.array([(sum(round(one * SCALE) for one in window), len(window)) for window in told], dtype=np.int64)


def mean(windows: Counts) -> float:
    """Return the mean per token over all windows, in nats."""
    return int(windows[:, 0].sum()) / (int(windows[:, 1].sum()) * SCALE)


def means(windows: Counts) -> Values:
    """Return the mean per token in each resample of the windows."""
    sums = resamples(len(windows)).sums(windows)
    found: Values = sums[:, 0] / (sums[:, 1] * SCALE)
    return found


def perplexity(loss: float) -> float:
    """Return exp of a mean loss, held at a number."""
    return math.exp(min(_LARGEST_LOSS, loss))
