"""How long an attempt lives before it is killed: by chance, but never so that nothing can ever be done."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

_LONGER: Final = 1.6
"""Factor after an attempt that got nothing done: some attempts later it outlives any step between two checkpoints."""
_SHORTER: Final = 0.25
"""Factor after one that did: kills stay dense, three or four for each artifact and checkpoint."""
_LONGEST: Final = 4.0
"""Means; without a longest one a single draw could outlive the whole run."""
_AIMED: Final = 0.25
"""Share of kills that are aimed at the moment after a job's end, when its work is published."""
_PUBLISHING_S: Final = 0.15


@dataclass
class Intervals:
    """Draws lifetimes (seconds) from an exponential distribution whose mean follows the progress that is made."""

    chance: random.Random
    shortest_s: float
    mean_s: float = 0.0

    def __post_init__(self) -> None:
        self.mean_s = self.mean_s or self.shortest_s

    def draw(self) -> float:
        """Return how long the next attempt may live."""
        return min(self.chance.expovariate(1 / self.mean_s), _LONGEST * self.mean_s)

    def aims(self) -> bool:
        """Say whether the next kill waits, within its time, for the end of a job."""
        return self.chance.random() < _AIMED

    def after_a_job(self) -> float:
        """Return how long after a job's end an aimed kill comes."""
        return self.chance.uniform(0.0, _PUBLISHING_S)

    def learn(self, *, progressed: bool) -> None:
        """Give the next attempt less time after progress, and more without."""
        self.mean_s = max(self.shortest_s, self.mean_s * (_SHORTER if progressed else _LONGER))
