"""How the next token is chosen: the same arithmetic for every form of the model.

Numpy only, so that the environments with and without torch draw the same tokens from the same logits.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[Any]
"""One position's logits, float, shape [vocabulary]."""

FEW = 256
"""Tokens looked at first: sorting a vocabulary of 150,000 for each drawn token would take most of the time."""


def greedy(logits: Logits) -> int:
    """Return the most likely token; the lowest id of equals. A logit that is not finite never wins."""
    return int(np.argmax(_finite(logits)))


def nucleus(logits: Logits, temperature: float, top_p: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the kept tokens, most likely first, and the running sum of their weights.

    Kept is the shortest list of the most likely tokens that hold at least the share `top_p` of all
    weight (Holtzman et al. 2020). Equal weights are ordered by id. Weights are
    exp((logit - highest) / temperature): not normalized.
    """
    scaled = _finite(logits) / temperature
    weights = np.exp(scaled - scaled.max())
    wanted = top_p * weights.sum()
    for count in (FEW, len(weights)):
        order = _heaviest(weights, count)
        cumulative = np.cumsum(weights[order])
        if cumulative[-1] >= wanted:
            break
    kept = min(int(np.searchsorted(cumulative, wanted, side="left")) + 1, len(order))
    return order[:kept], cumulative[:kept]


def _heaviest(weights: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Return the ids of the `count` heaviest tokens, and of all that weigh as much as the last, heaviest first."""
    if count >= len(weights):
        return np.argsort(-weights, kind="stable")
    least = np.partition(weights, len(weights) - count)[len(weights) - count]
    candidates = np.flatnonzero(weights >= least)
    return candidates[np.argsort(-weights[candidates], kind="stable")]


@dataclass
class Sampler:
    """One prompt's own source of chance: one uniform number per token, whatever else is in the batch."""

    seed: int
    prompt_id: str
    temperature: float
    top_p: float
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Seed from (seed, prompt id); a string seed goes through SHA-512, so no hash seed plays a part."""
        self._random = random.Random(f"{self.seed}:{self.prompt_id}")

    def __call__(self, logits: Logits) -> int:
        """Draw one token id from `logits`, shape [vocabulary]."""
        kept, cumulative = nucleus(logits, self.temperature, self.top_p)
        drawn = self._random.random() * cumulative[-1]
        return int(kept[min(int(np.searchsorted(cumulative, drawn, side="right")), len(kept) - 1)])


def _finite(logits: Logits) -> NDArray[np.float64]:
    """Return the logits in float64, those that are not finite made impossible (all of them: made equal)."""
    values = np.asarray(logits, dtype=np.float64)
    finite = np.isfinite(values)
    if finite.all():
        return values
    return np.where(finite, values, -np.inf) if finite.any() else np.zeros_like(values)
