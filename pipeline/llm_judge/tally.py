"""What all verdicts on one pair of forms come to. A form wins a prompt only where both orders say so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.llm_judge.intervals import half_and_half, share, verdict
from pipeline.llm_judge.reading import Reading

NO_PROMPT: Final = "there is no held-out prompt"
ALL_SAME: Final = "the two forms answer every prompt alike, so nothing was asked"


@dataclass(frozen=True)
class Compared:
    """One prompt of a pair: the lengths of both answers, and what was read in each order.

    `readings` are of the order as named and of the swapped one; none where the answers are the same text.
    """

    prompt: str
    chars: tuple[int, int]
    readings: tuple[Reading, ...] = ()

    @property
    def winners(self) -> tuple[str, ...] | None:
        """Return who won in each order (`against`, `form`, `tie`); None unless both were read."""
        names = ({"first": "against", "second": "form", "tie": "tie"}, {"first": "form", "second": "against"})
        found = [
            names[order].get(reading.choice, "tie")
            for order, reading in enumerate(self.readings)
            if reading.choice is not None
        ]
        return tuple(found) if len(found) == len(names) else None

    @property
    def outcome(self) -> str:
        """Return `win`, `loss` or `tie` of the second form, `same` where nothing was asked, `unread`."""
        if not self.readings:
            return "same"
        if self.winners is None:
            return "unread"
        first, second = self.winners
        return {"form": "win", "against": "loss"}.get(first, "tie") if first == second else "tie"


def tally(compared: Sequence[Compared], unreadable_limit: float) -> dict[str, Any]:
    """Return the counts of a pair, its win rate, and how far the judge can be trusted.

    Every share has an interval, or is None with a reason. Over the limit of unreadable verdicts nothing is measured:
    what could be read is then no sample of what was asked.
    """
    outcomes = Counter(one.outcome for one in compared)
    both = [one for one in compared if one.winners is not None]
    why = Counter(reading.why for one in compared for reading in one.readings if reading.why is not None)
    verdicts = sum(len(one.readings) for one in compared)
    unread = why.total() / verdicts if verdicts else None
    found: dict[str, Any] = {
        "prompts": len(compared),
        "wins": outcomes["win"],
        "losses": outcomes["loss"],
        "ties": outcomes["tie"],
        "same_answers": outcomes["same"],
        "unread_prompts": outcomes["unread"],
        "verdicts": verdicts,
        "unread_verdicts": dict(sorted(why.items())),
        "unread_share": None if unread is None else round(unread, 6),
        "contradictions": sum(one.outcome == "tie" and len(set(one.winners or ())) > 1 for one in both),
    }
    reason = _reason(found, unreadable_limit)
    found["win_rate"] = {"reason": reason} if reason else _win_rate(found)
    no_trust = reason or ("" if both else ALL_SAME)
    found["agreement"] = {"reason": no_trust} if no_trust else _agreement(both)
    found["first_position"] = {"reason": no_trust} if no_trust else _first_position(both)
    found["longer_answer"] = {"reason": no_trust} if no_trust else _longer(both)
    return found


def _reason(found: Mapping[str, Any], limit: float) -> str:
    """Return why a pair is not measured; empty if it is."""
    if not found["prompts"]:
        return NO_PROMPT
    if found["unread_share"] is not None and found["unread_share"] > limit:
        told = ", ".join(f"{count} {why}" for why, count in found["unread_verdicts"].items())
        count = sum(found["unread_verdicts"].values())
        return f"{count} of {found['verdicts']} verdicts could not be read ({told}); at most {limit:g} of them may be"
    return "no prompt has a verdict in both orders" if found["unread_prompts"] == found["prompts"] else ""


def _win_rate(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return wins over the prompts that were decided or tied, ties counting half."""
    prompts = found["wins"] + found["losses"] + found["ties"] + found["same_answers"]
    rate = half_and_half(found["wins"], found["losses"], prompts)
    return {**rate, "of": prompts, "verdict": verdict(rate["low"], rate["high"], prompts), "reason": None}


def _agreement(both: Sequence[Compared]) -> dict[str, Any]:
    """Return in how many prompts both orders said the same, ties included."""
    same = sum(len(set(one.winners or ())) == 1 for one in both)
    return {**share(same, len(both)), "of": len(both), "reason": None}


def _first_position(both: Sequence[Compared]) -> dict[str, Any]:
    """Return how often answer A won, of the prompts with a winner in both orders. 0.5 is no preference."""
    decided = [one for one in both if "tie" not in (one.winners or ())]
    if not decided:
        return {"reason": "no prompt has a winner in both orders"}
    first = sum(all(reading.choice == "first" for reading in one.readings) for one in decided)
    second = sum(all(reading.choice == "second" for reading in one.readings) for one in decided)
    return {**half_and_half(first, second, len(decided)), "of": len(decided), "reason": None}


def _longer(both: Sequence[Compared]) -> dict[str, Any]:
    """Return how often the longer answer won, of the prompts that were won and whose answers differ in length."""
    won = [one for one in both if one.outcome in ("win", "loss") and one.chars[0] != one.chars[1]]
    if not won:
        return {"reason": "no prompt was won between answers of different length"}
    longer = sum((one.outcome == "win") == (one.chars[1] > one.chars[0]) for one in won)
    return {**share(longer, len(won)), "of": len(won), "reason": None}
