"""Intervals of shares in which a prompt counts for one side, for the other, or for neither."""

from __future__ import annotations

import math
from typing import Final

from pipeline.gates.statistics import wilson_interval

LEAST_PROMPTS: Final = 30
"""Under this many prompts no verdict is given, as in `evaluate` (`LEAST_PAIRS`)."""
_Z: Final = 1.96
_HALVINGS: Final = 60
"""Steps of the search for a bound; each halves what is left of [-1, 1], down to the last bit of a double."""
DIGITS: Final = 6


def paired_interval(wins: int, losses: int, prompts: int) -> tuple[float, float]:
    """Return the 95 % score interval of (wins − losses) / prompts, the other prompts being ties (Tango 1998).

    Unlike a bootstrap it has no width zero where all prompts agree. Plain arithmetic and square roots: the same bits
    on every machine. No prompts: (-1, 1).
    """
    if prompts == 0:
        return -1.0, 1.0
    middle = (wins - losses) / prompts
    low = _bound(wins, losses, prompts, inner=middle, outer=-1.0)
    high = _bound(wins, losses, prompts, inner=middle, outer=1.0)
    return low, high


def _bound(wins: int, losses: int, prompts: int, *, inner: float, outer: float) -> float:
    """Return the difference between `inner` and `outer` at which the score reaches `_Z`; `outer` if it never does."""
    if abs(_score(wins, losses, prompts, outer)) <= _Z:
        return outer
    for _ in range(_HALVINGS):
        between = (inner + outer) / 2
        if abs(_score(wins, losses, prompts, between)) <= _Z:
            inner = between
        else:
            outer = between
    return (inner + outer) / 2


def _score(wins: int, losses: int, prompts: int, difference: float) -> float:
    """Return how many standard deviations the data lie from a difference, under the likeliest shares that have it."""
    distance = wins - losses - prompts * difference
    if distance == 0:
        return 0.0
    b = -wins - losses + (2 * prompts - wins + losses) * difference
    c = -losses * difference * (1 - difference)
    lost = (math.sqrt(max(0.0, b * b - 8 * prompts * c)) - b) / (4 * prompts)
    variance = prompts * (2 * lost + difference * (1 - difference))
    return distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance)


def half_and_half(wins: int, losses: int, prompts: int) -> dict[str, float | int]:
    """Return wins over prompts with interval, a tie counting half: 0.5 is as good as the other."""
    low, high = paired_interval(wins, losses, prompts)
    value = 0.5 + (wins - losses) / (2 * prompts)
    return {"value": round(value, DIGITS), "low": round((1 + low) / 2, DIGITS), "high": round((1 + high) / 2, DIGITS)}


def share(count: int, of: int) -> dict[str, float | int]:
    """Return a share with its Wilson interval."""
    low, high = wilson_interval(count, of)
    return {"value": round(count / of, DIGITS), "low": round(low, DIGITS), "high": round(high, DIGITS)}


def verdict(low: float, high: float, prompts: int) -> str:
    """Return what the interval of a win rate allows to say, in the words of docs/evaluation.md."""
    if prompts < LEAST_PROMPTS:
        return "too few prompts"
    if low <= 0.5 <= high:  # noqa: PLR2004 - as good as the other
        return "no difference shown"
    return "better" if low > 0.5 else "worse"  # noqa: PLR2004
