"""How often one form is preferred to another, and how sure that is: Tango's score interval for paired proportions.

A prompt is a unit: one form won it, or it is a tie. T. Tango, "Equivalence test and confidence interval for the
difference in proportions for the paired-sample design", Statistics in Medicine 17 (1998). It takes ties as they are,
and stays honest where all prompts fall on one side, which a bootstrap does not. Only sums, products and square roots:
the same digits on every processor.
"""

from __future__ import annotations

import math
from typing import Final

from pipeline.verdict_words import of_one_training

LEVEL: Final = 0.95
_Z: Final = 1.959963984540054
"""The normal distribution's quantile for `LEVEL`, both sides."""
LEAST_PROMPTS: Final = 30
"""Under this many prompts no verdict is given: the line of stage `evaluate` and of the gate `improvement.answers`."""
LEAST_DECIDED: Final = 6
"""Under this many prompts that are no ties no verdict is given: five fall on one side by chance once in 16 times."""
DIGITS: Final = 6
_HALVINGS: Final = 60
"""Steps of the search for a bound; each halves what is left of [-1, 1], down to the last bit of a double."""


def win_rate(wins: int, losses: int, prompts: int) -> float:
    """Return the share of prompts won, a tie counting half: 0.5 is as good as the other. At least one prompt."""
    return round((1 + (wins - losses) / prompts) / 2, DIGITS)


def interval(wins: int, losses: int, prompts: int) -> tuple[float, float]:
    """Return the 95 % bounds of the win rate."""
    low, high = paired_interval(wins, losses, prompts)
    return round((1 + low) / 2, DIGITS), round((1 + high) / 2, DIGITS)


def verdict(wins: int, losses: int, prompts: int) -> str:
    """Return what the counts allow to say of the form that won `wins` prompts, in the words of docs/evaluation.md.

    One training stands behind every form that is compared, whoever prefers it.
    """
    if prompts < LEAST_PROMPTS:
        return "too few prompts"
    if wins + losses < LEAST_DECIDED:
        return "too few decided prompts" if wins + losses else "no difference shown"
    low, high = interval(wins, losses, prompts)
    if low <= 1 / 2 <= high:
        return "no difference shown"
    return of_one_training("better" if low > 1 / 2 else "worse")


def paired_interval(wins: int, losses: int, prompts: int) -> tuple[float, float]:
    """Return the 95 % score interval of (wins − losses) / prompts, the others being ties; (-1, 1) for no prompts."""
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
