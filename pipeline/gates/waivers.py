"""Written exceptions of a recipe, applied to verdicts, and the worst of a set of verdicts."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from pipeline.gates.names import NAMES
from pipeline.gates.verdict import Outcome, Verdict

SEVERITY: tuple[Outcome, ...] = ("passed", "waived", "warned", "not measured", "failed")
"""From the best to the worst. `not measured` is worse than `warned`: nobody knows what it hides."""


class WaiverLike(Protocol):
    """What is needed of `pipeline.recipe.Waiver`: the gate's name and the written reason."""

    @property
    def gate(self) -> str:
        """Return the gate's name."""
        ...

    @property
    def reason(self) -> str:
        """Return why the gate may fail."""
        ...


def apply_waivers(verdicts: Sequence[Verdict], waivers: Iterable[WaiverLike]) -> tuple[Verdict, ...]:
    """Turn each failed verdict of a waived gate into `waived`, with the reason; leave every other verdict as it is.

    A warning needs no waiver, and what was not measured cannot be waived: it says nothing yet. Several waivers of one
    gate are all quoted.
    """
    reasons: dict[str, list[str]] = {}
    for waiver in waivers:
        reasons.setdefault(waiver.gate, []).append(waiver.reason)
    return tuple(
        replace(verdict, outcome="waived", waiver="; ".join(reasons[verdict.gate]))
        if verdict.outcome == "failed" and verdict.gate in reasons
        else verdict
        for verdict in verdicts
    )


def unknown_waivers(waivers: Iterable[WaiverLike], known: Collection[str] = tuple(NAMES)) -> list[str]:
    """Return one message for each waiver of a gate that does not exist, with the nearest name."""
    found = []
    for waiver in waivers:
        if waiver.gate not in known:
            near = difflib.get_close_matches(waiver.gate, list(known), n=1)
            hint = f"did you mean {near[0]}?" if near else "`python -m pipeline stages` lists the gates"
            found.append(f"waivers: there is no gate {waiver.gate!r}; {hint}")
    return found


def unused_waivers(verdicts: Iterable[Verdict], waivers: Iterable[WaiverLike]) -> list[str]:
    """Return the gates that a recipe waives and that did not fail: exceptions to strike out."""
    used = {verdict.gate for verdict in verdicts if verdict.outcome == "waived"}
    return sorted({waiver.gate for waiver in waivers} - used)


def worst(verdicts: Iterable[Verdict]) -> Outcome | None:
    """Return the worst outcome; None without verdicts: nothing was judged."""
    return max((verdict.outcome for verdict in verdicts), key=SEVERITY.index, default=None)
