"""What one check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["passed", "failed", "noted", "not checked"]

MARKS = {"passed": "✓", "failed": "✗", "noted": "!", "not checked": "?"}
"""How an outcome begins its line."""


@dataclass(frozen=True)
class Finding:
    """One line of the result: which check, how it ended, and what was looked at or is wrong."""

    check: str
    outcome: Outcome
    what: str

    def __str__(self) -> str:
        return f"{MARKS[self.outcome]} {self.check:<11} {self.what}"


@dataclass(frozen=True)
class Note:
    """What a check says that is no proof: it is told as `noted`, not as `passed`."""

    words: str


def listed(problems: list[str], most: int = 5) -> str:
    """Join problems; of very many the first are told."""
    more = len(problems) - most
    return "; ".join(problems[:most]) + (f"; and {more} more" if more > 0 else "")
