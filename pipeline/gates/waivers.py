"""Written exceptions of a recipe, applied to verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from pipeline.gates.verdict import Verdict


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


def unused_waivers(verdicts: Iterable[Mapping[str, Any]], waivers: Iterable[WaiverLike]) -> list[str]:
    """Return the gates that a recipe waives and that did not fail (verdicts as JSON): exceptions to strike out."""
    used = {verdict["gate"] for verdict in verdicts if verdict["outcome"] == "waived"}
    return sorted({waiver.gate for waiver in waivers} - used)
