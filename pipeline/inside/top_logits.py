"""What is kept of a form's logits: the most likely tokens of every position, all others as one.

A whole row of Qwen3's vocabulary is 0.6 MB, 50,000 positions of text 30 GB per form. Kept are the
`KEPT` highest logits and the log of the summed exponentials of the rest, so that probabilities still add
up to one: 2 kB a position. A divergence over these classes is never larger than the whole one
(log-sum inequality), and differs only by what happens inside the rest. Numpy only: forms run with and
without torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .job import JobError

KEPT = 256
"""Tokens kept of each position. `docs/reproducibility.md` has what that leaves out."""

DIGITS = 9
"""Decimals of losses and divergences: fewer than double precision holds, because the last bits of `exp` and `log`
differ from one processor to the next."""

Array = NDArray[Any]
Windows = Sequence[Sequence[int]]


def record(vocabulary: int) -> np.dtype[np.void]:
    """Return the type of one position.

    `ids` are ascending, `logits` belong to them; `rest` is the log of the summed exponentials of all other
    tokens (-inf if there is none, NaN if any logit of the position is not finite); `follows` is the logit of the
    token that follows in the text (NaN where none does).
    """
    kept = min(KEPT, vocabulary)
    return np.dtype([("follows", "<f4"), ("rest", "<f4"), ("ids", "<u4", (kept,)), ("logits", "<f4", (kept,))])


def next_ids(windows: Windows) -> list[int]:
    """Return for every position the id that follows it in its window, -1 for a window's last."""
    return [token for window in windows for token in [*window[1:], -1]]


def highest(logits: Array, count: int) -> Array:
    """Return the ids of the `count` highest logits of each row, ascending; of equals the lower ids. Finite logits."""
    vocabulary = logits.shape[1]
    if count >= vocabulary:
        return np.broadcast_to(np.arange(vocabulary), logits.shape)
    least: Array = np.partition(logits, vocabulary - count, axis=1)[:, vocabulary - count, None]
    above: Array = logits > least
    equal: Array = logits == least
    wanted = count - above.sum(axis=1, keepdims=True)
    kept = above | (equal & (np.cumsum(equal, axis=1) <= wanted))
    return np.nonzero(kept)[1].reshape(len(logits), count)


def reduce(logits: Array, follows: Sequence[int]) -> Array:
    """Return the records of some positions: logits float32 [positions, vocabulary], `follows` ids or -1."""
    found = np.zeros(len(logits), dtype=record(logits.shape[1]))
    finite = np.asarray(np.isfinite(logits).all(axis=1))
    values = np.where(finite[:, None], logits, np.float32(0))
    ids = highest(values, found["ids"].shape[1])
    tokens = np.asarray(follows)
    chosen = np.take_along_axis(values, np.maximum(tokens, 0)[:, None], axis=1)[:, 0]
    found["ids"] = ids
    found["logits"] = np.take_along_axis(values, ids, axis=1)
    found["follows"] = np.where(tokens < 0, np.float32(math.nan), chosen)
    found["rest"] = np.where(finite, _rest(values, ids), math.nan)
    return found


def _rest(values: Array, ids: Array) -> Array:
    """Return the log of the summed exponentials of each row, without those at `ids`."""
    others = values.astype(np.float64)
    peak = others.max(axis=1, keepdims=True)
    np.put_along_axis(others, ids, -math.inf, axis=1)
    with np.errstate(divide="ignore"):
        found: Array = np.log(np.exp(others - peak).sum(axis=1)) + peak[:, 0]
    return found


def losses(records: Array) -> Array:
    """Return the loss of every token that follows in the text, float64, nats; NaN for positions that are not finite."""
    scored = records[~np.isnan(records["follows"])]
    classes = np.concatenate([scored["logits"], scored["rest"][:, None]], axis=1).astype(np.float64)
    peak = scored["logits"].max(axis=1).astype(np.float64)
    found: Array = np.log(np.exp(classes - peak[:, None]).sum(axis=1)) + peak - scored["follows"]
    return found


class Writer:
    """Writes the records of a text to a file, batch by batch, and adds up its loss.

    Raises `JobError` for a text with a token that the model does not have.
    """

    def __init__(self, path: Path, windows: Windows, vocabulary: int) -> None:
        highest_id = max(token for window in windows for token in window)
        if highest_id >= vocabulary:
            raise JobError(
                f"The text holds token {highest_id}, the model has {vocabulary} tokens.",
                where="parity.json",
                advice="The form does not have the tokenizer that was trained with: look at merge and conversion.",
            )
        self._follows = next_ids(windows)
        self._vocabulary = vocabulary
        self._stored = np.lib.format.open_memmap(path, mode="w+", dtype=record(vocabulary), shape=(len(self._follows),))
        self._losses: list[float] = []
        self.positions = len(self._follows)
        self.done = self._non_finite = 0

    def add(self, logits: Array) -> None:
        """Take the logits of the next positions: float32 [positions, vocabulary]."""
        end = self.done + len(logits)
        records = reduce(logits, self._follows[self.done : end])
        self._non_finite += int((~np.isfinite(logits)).sum())
        self._losses += losses(records).tolist()
        self._stored[self.done : end] = records
        self.done = end

    def finish(self) -> dict[str, Any]:
        """Return `positions`, `vocabulary`, `non_finite` and `mean_nll`.

        `non_finite` says how many logits are not finite; `mean_nll` is nats per predicted token, the first of each
        window not counted, None if it is not finite.
        """
        self._stored.flush()
        mean = math.fsum(self._losses) / len(self._losses)
        return {
            "positions": self.positions,
            "vocabulary": self._vocabulary,
            "non_finite": self._non_finite,
            "mean_nll": round(mean, DIGITS) if math.isfinite(mean) else None,
        }
