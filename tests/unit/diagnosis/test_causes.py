"""Causes in order of what was measured."""

from __future__ import annotations

from typing import Any

from pipeline.diagnosis.causes import CAUSES, hypotheses
from pipeline.diagnosis.conclusion import Conclusion
from pipeline.diagnosis.forms import Form
from pipeline.diagnosis.page import Diagnosis, markdown
from pipeline.gates.names import NAMES


def verdict(gate: str, outcome: str, value: float | None = 1.0) -> dict[str, Any]:
    """Return a verdict as a manifest holds it."""
    return {
        "stage": "train",
        "gate": gate,
        "subject": "all",
        "outcome": outcome,
        "value": value,
        "unit": "x",
        "limit": "0",
        "cause": "because",
        "waiver": "for a test" if outcome == "waived" else "",
        "evidence": [],
    }


def test_every_cause_names_gates_that_exist() -> None:
    """A renamed gate would silently speak for nothing."""
    named = {gate for cause in CAUSES for gate in (*cause.gates, *cause.symptoms)}
    assert named <= set(NAMES)


def test_a_failed_gate_puts_its_cause_first() -> None:
    """Before one that only fits the symptom."""
    found = hypotheses(["training"], [verdict("preflight.labels", "failed")], ["generation.degenerate"])
    assert found[0].cause.what == "the terminator was never learned"
    assert found[0].standing == "likely"
    assert "preflight.labels (all) failed: 1.0 x, limit 0" in found[0].evidence


def test_a_waived_gate_speaks_as_well() -> None:
    """Somebody wrote an exception for it; it failed all the same."""
    found = hypotheses(["training"], [verdict("data.tag-lists", "waived")], [])
    assert (found[0].standing, found[0].cause.what[:9]) == ("likely", "tag lists")


def test_gates_that_passed_make_a_cause_unlikely() -> None:
    """What was measured and is well is not the first guess."""
    passed = [verdict(gate, "passed") for gate in ("merge.tensors", "parity.merged", "preflight.same-base")]
    found = {item.cause.what: item.standing for item in hypotheses(["merge"], passed, [])}
    assert found["merged into another base than the one it was trained on"] == "unlikely"


def test_only_causes_of_the_suspected_steps_are_named() -> None:
    """Quantization is no cause where it was excluded."""
    assert {item.cause.step for item in hypotheses(["merge", "prompt"], [], [])} == {"merge", "prompt"}


def test_the_page_says_conclusion_forms_causes_and_what_is_not_known() -> None:
    """In this order, each with its evidence."""
    verdicts = [verdict("training.overfitting", "failed", 0.4)]
    page = markdown(
        Diagnosis(
            subject="mine",
            forms=[Form("adapter", "training", "sick", ("generation.degenerate: 3",), frozenset(), ("」」」」",))],
            conclusion=Conclusion("training: the adapter form is already sick", ("training",), (), ("merged",)),
            hypotheses=hypotheses(["training"], verdicts, []),
            gates=verdicts,
            data=["10 raw rows"],
        )
    )
    parts = [
        "# Diagnosis of mine",
        "**Training: the adapter form is already sick.**",
        "| adapter | training | **sick** |",
        "- `」」」」`",
        "1. **likely**, training: overfitting",
        "change: train one epoch",
        "10 raw rows",
        "`training.overfitting` failed: 0.4 x",
        "## Not known",
    ]
    places = [page.index(part) for part in parts]
    assert places == sorted(places)
