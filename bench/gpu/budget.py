"""How long a part may take: what is left of the whole, and no more than its own limit."""

from __future__ import annotations

import time
from collections.abc import Callable

RESERVE_S = 5.0
"""Kept for the tables."""


class Budget:
    """The seconds of one command, from the moment that this object is made."""

    def __init__(self, total_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + total_s - RESERVE_S

    def left(self) -> float:
        """Return the seconds that parts may still take; never less than none."""
        return max(0.0, self._end - self._clock())

    def limit(self, least_s: float, most_s: float) -> float | None:
        """Return how long a part may run; None where less is left than it needs at `least`."""
        left = self.left()
        return None if left < least_s else min(left, most_s)
