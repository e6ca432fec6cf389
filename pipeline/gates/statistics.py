"""The few statistics that gates need, in plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence

_MIN_PAIRS = 3
"""Two pairs always correlate fully."""


def wilson_interval(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Return the Wilson score interval of a share; 95 % for the default `z` (Wilson 1927). No trials: (0, 1)."""
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    middle = share + z * z / (2 * trials)
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value, from 1; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=lambda at: values[at])
    found = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for at in order[start : end + 1]:
            found[at] = (start + end) / 2 + 1
        start = end + 1
    return found


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation, -1 to 1; None for fewer than three pairs or a constant series."""
    if len(first) != len(second):
        message = f"series of different length: {len(first)} and {len(second)}"
        raise ValueError(message)
    if len(first) < _MIN_PAIRS:
        return None
    a, b = ranks(first), ranks(second)
    mean = (len(a) + 1) / 2
    covariance = sum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True))
    spread = math.sqrt(sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b))
    return covariance / spread if spread > 0 else None


def moving_average(values: Sequence[float], width: int = 3) -> list[float]:
    """Return the centred moving average; at both ends the window is what there is of it."""
    half = width // 2
    windows = [values[max(0, at - half) : at + half + 1] for at in range(len(values))]
    return [sum(window) / len(window) for window in windows]


def noise(values: Sequence[float]) -> float:
    """Return the standard deviation of the point-to-point noise on a smooth curve.

    Second differences cancel level and slope; those of independent noise have six times its variance. The median
    in place of the mean keeps one kink of the curve (the minimum, the first steep fall) from counting as noise.
    """
    squares = sorted((values[at - 1] - 2 * values[at] + values[at + 1]) ** 2 / 6 for at in range(1, len(values) - 1))
    if not squares:
        return 0.0
    middle = len(squares) // 2
    median = squares[middle] if len(squares) % 2 else (squares[middle - 1] + squares[middle]) / 2
    return math.sqrt(median / 0.4549)  # the median of a chi-square variable with one degree of freedom
