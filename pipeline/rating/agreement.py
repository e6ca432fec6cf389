"""Whether raters say the same of the same answers: the share of equal votes, and kappa, which takes chance away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

DIGITS: Final = 4
TIE: Final = "tie"


def agreement(votes: Sequence[Mapping[int, str]]) -> dict[str, Any]:
    """Return how far raters agree. `votes` has, for each item, rater → `form`, `against` or `tie`; skips are not in it.

    Of two raters kappa is Cohen's (1960), of more Fleiss' (1971), with as many votes on an item as there are.
    """
    shared = [one for one in votes if len(one) > 1]
    pairs = sum(len(one) * (len(one) - 1) // 2 for one in shared)
    equal = sum(count * (count - 1) // 2 for one in shared for count in Counter(one.values()).values())
    if not pairs:
        return {"prompts": 0, "pairs": 0, "equal": 0, "kappa": None, "kind": "", "reason": "no prompt has two raters"}
    raters = {rater for one in shared for rater in one}
    kind = "Cohen" if len(raters) == 2 else "Fleiss"  # noqa: PLR2004 - Cohen's is of two
    kappa = _cohen(shared) if kind == "Cohen" else _fleiss(shared)
    reason = "" if kappa is not None else "all votes are the same: chance alone would agree"
    return {"prompts": len(shared), "pairs": pairs, "equal": equal, "kappa": kappa, "kind": kind, "reason": reason}


def _cohen(shared: Sequence[Mapping[int, str]]) -> float | None:
    """Return Cohen's kappa: chance agrees as often as two raters would that vote each by his own habit."""
    one, two = sorted(shared[0])
    habits = [Counter(votes[rater] for votes in shared) for rater in (one, two)]
    total = len(shared)
    by_chance = sum(habits[0][vote] * habits[1][vote] for vote in habits[0]) / total**2
    return _beyond(sum(votes[one] == votes[two] for votes in shared) / total, by_chance)


def _fleiss(shared: Sequence[Mapping[int, str]]) -> float | None:
    """Return Fleiss' kappa; every item counts the same, however many voted on it."""
    counts = [Counter(votes.values()) for votes in shared]
    found = [sum(count * (count - 1) for count in one.values()) / (one.total() * (one.total() - 1)) for one in counts]
    whole = sum(counts, Counter[str]())
    by_chance = sum((count / whole.total()) ** 2 for count in whole.values())
    return _beyond(sum(found) / len(found), by_chance)


def _beyond(observed: float, by_chance: float) -> float | None:
    return None if by_chance >= 1 else round((observed - by_chance) / (1 - by_chance), DIGITS)
