"""How sure a win rate is: Tango's score interval for paired proportions, with prompts as units.

T. Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample design",
Statistics in Medicine 17 (1998). It takes ties as they are, and stays honest where all votes fall on one side, which
a bootstrap does not. Only sums, products and square roots: the same digits on every processor.
"""

from __future__ import annotations

import math
from typing import Final

LEVEL: Final = 0.95
_Z: Final = 1.959963984540054
"""The normal distribution's quantile for `LEVEL`, both sides."""
LEAST_PROMPTS: Final = 30
"""Under this many prompts no verdict is given: the line of stage `evaluate` and of the gate `improvement.answers`."""
LEAST_DECIDED: Final = 6
"""Under this many prompts that are no ties no verdict is given: five fall on one side by chance once in 16 times."""
_STEPS: Final = 60
DIGITS: Final = 4


def win_rate(wins: int, losses: int, total: int) -> float:
    """Return the share of prompts won, ties as halves; `total` counts them too and is at least 1."""
    return round((1 + (wins - losses) / total) / 2, DIGITS)


def interval(wins: int, losses: int, total: int) -> tuple[float, float]:
    """Return the bounds of the win rate, ties as halves."""
    low = -_upper(losses, wins, total)
    high = _upper(wins, losses, total)
    return round((1 + low) / 2, DIGITS), round((1 + high) / 2, DIGITS)


def verdict(wins: int, losses: int, total: int) -> str:
    """Return what the counts allow to say of the form that won `wins` prompts, in the words of `evaluate`."""
    if total < LEAST_PROMPTS:
        return "too few prompts"
    if wins + losses < LEAST_DECIDED:
        return "too few decided prompts" if wins + losses else "no difference shown"
    low, high = interval(wins, losses, total)
    if low <= 1 / 2 <= high:
        return "no difference shown"
    return "better" if low > 1 / 2 else "worse"


def _upper(wins: int, losses: int, total: int) -> float:
    """Return the upper bound of the difference (wins - losses) / total, by halving."""
    low, high = (wins - losses) / total, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _statistic(wins, losses, total, middle) >= -_Z:
            low = middle
        else:
            high = middle
    return high


def _statistic(wins: int, losses: int, total: int, difference: float) -> float:
    """Return Tango's score statistic for a true difference; the losses' share is the likeliest under it."""
    b = (2 * total - wins + losses) * difference - wins - losses
    c = -losses * difference * (1 - difference)
    share = (math.sqrt(b * b - 8 * total * c) - b) / (4 * total)
    variance = total * (2 * share + difference * (1 - difference))
    gap = wins - losses - total * difference
    if variance <= 0:
        return 0.0 if gap == 0 else math.copysign(math.inf, gap)
    return gap / math.sqrt(variance)
