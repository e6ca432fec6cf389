"""Written exceptions: what they change, and where they show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.artifact import Manifest
from pipeline.gates.verdict import Outcome, Verdict
from pipeline.gates.waivers import apply_waivers, unused_waivers
from pipeline.recipe import Waiver
from pipeline.report.artifacts import Artifacts
from pipeline.report.document import document
from pipeline.report.markdown import render
from pipeline.runs import read_state
from pipeline.stages.release import chain
from tests.support.workplace import Workplace

FAILED = Verdict("generation.stops", "greedy answers", "failed", 0.5, "share", "at least 0.9", "gates.md")
REASON = "133 rows were all that the company had in 2025"
WAIVER = Waiver(gate="generation.stops", reason=REASON)


def test_a_waived_failure_carries_its_reason() -> None:
    """Value, cause and limit stay for a reader."""
    (verdict,) = apply_waivers([FAILED], [WAIVER])
    assert verdict == replace(FAILED, outcome="waived", waiver=REASON)


@pytest.mark.parametrize("outcome", ["passed", "warned", "not measured"])
def test_a_waiver_touches_only_failures(outcome: Outcome) -> None:
    """What did not fail keeps its outcome."""
    verdict = replace(FAILED, outcome=outcome)
    assert apply_waivers([verdict], [WAIVER]) == (verdict,)


def test_a_waiver_is_for_its_gate_only() -> None:
    """Another gate still fails."""
    other = replace(FAILED, gate="generation.degenerate")
    assert [verdict.outcome for verdict in apply_waivers([FAILED, other], [WAIVER])] == ["waived", "failed"]


def test_unused_waivers_are_listed() -> None:
    """An exception that nothing needed any more."""
    waived = [verdict.to_json() for verdict in apply_waivers([FAILED], [WAIVER])]
    assert unused_waivers(waived, [WAIVER]) == []
    assert unused_waivers([replace(FAILED, outcome="passed").to_json()], [WAIVER]) == ["generation.stops"]


@pytest.fixture
def waived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """The manifest of rows that are too few, by a recipe that says why they may be."""
    workplace = Workplace(tmp_path, monkeypatch)
    workplace.change("rows_fail = 10", "rows_fail = 500")
    workplace.waive("data.clean-rows", REASON)
    workplace.prepare()
    context = workplace.context()
    manifest = context.store().manifest(read_state(context.build, context.recipe.name)["stages"]["prepare"])
    assert manifest is not None
    return manifest


def test_a_waiver_shows_in_the_manifest(waived: Manifest) -> None:
    """Verdict and reason are written down; every other gate stands without."""
    assert {gate["gate"]: gate["waiver"] for gate in waived.gates if gate["outcome"] == "waived"} == {
        "data.clean-rows": REASON
    }


def test_a_waiver_shows_in_the_report(waived: Manifest) -> None:
    """In the sentence at the top, with its reason in what needs attention, and in the table of its stage."""
    artifacts = Artifacts({}, {}, {"prepare": waived.gates}, {"name": "few", "description": "titles"})
    report = render(document(artifacts))
    assert "**Healthy but for written exceptions.**" in report.split("\n## ", maxsplit=1)[0]
    assert f"  - waived because: {REASON}" in report
    assert "| **waived**" in report.split("\n## Gates\n", maxsplit=1)[1]


def test_a_waiver_shows_in_the_release(waived: Manifest) -> None:
    """The chain beside the models names the exception and the verdict that it lets stand."""
    waiver = {"gate": "data.clean-rows", "reason": REASON}
    papers = chain(
        {
            "name": "few",
            "show_data_rows": False,
            "waivers": [waiver],
            "digests": {"prepare": {}},
            "verdicts": {"prepare": waived.gates},
        }
    )
    assert papers["waivers"] == [waiver]
    verdicts = papers["stages"]["prepare"]["verdicts"]
    assert [one["waiver"] for one in verdicts if one["outcome"] == "waived"] == [REASON]
