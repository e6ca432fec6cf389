"""Gates of stage judge: they warn, and say nothing where nothing was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.gates.llm_judge import judge_gates
from pipeline.gates.verdict import Verdict
from tests.support.healthy_build import Row, judge, judged, outcomes, recipe, write_json


def verdicts(folder: Path, found: Row | None, **limits: Any) -> dict[str, list[Verdict]]:
    """Return the verdicts on a judge.json."""
    if found is not None:
        write_json(folder / "judge.json", found)
    return judge(judge_gates, folder, {}, recipe({"judge": limits}, judge={"model": "judge-1"}))


def changed(**changes: Any) -> Row:
    """Return a healthy judge.json whose first pair is another one."""
    found = judged()
    found["pairs"] = [{**found["pairs"][0], **changes}]
    return found


def test_a_sound_judge_passes(tmp_path: Path) -> None:
    """Each gate answers for each pair."""
    found = verdicts(tmp_path, judged())
    assert outcomes(found) == {}
    assert {gate: len(answers) for gate, answers in found.items()} == {
        "judge.readable": 2,
        "judge.agreement": 2,
        "judge.preference": 2,
    }


def test_a_judge_that_contradicts_itself_warns(tmp_path: Path) -> None:
    """With the share of the first position as evidence."""
    agreement = {"value": 0.15, "low": 0.07, "high": 0.27, "of": 48, "reason": None}
    found = verdicts(tmp_path, changed(agreement=agreement))
    assert outcomes(found) == {"judge.agreement": {"warned"}}
    assert any("answer A won" in line for line in found["judge.agreement"][0].evidence)


def test_a_judge_that_cannot_be_read_warns_and_the_rest_is_not_measured(tmp_path: Path) -> None:
    """No gate passes on nothing."""
    no = {"reason": "90 of 96 verdicts could not be read"}
    pair = {"unread_share": 0.9375, "unread_verdicts": {"empty": 90}, "win_rate": no, "agreement": no}
    found = verdicts(tmp_path, changed(**pair))
    assert outcomes(found) == {
        "judge.readable": {"warned"},
        "judge.agreement": {"not measured"},
        "judge.preference": {"not measured"},
    }
    assert found["judge.readable"][0].evidence == ("90 of 96: empty",)


def test_a_preference_for_the_other_form_warns(tmp_path: Path) -> None:
    """A judge does not stop a release: it has tastes of its own."""
    rate = {"value": 0.2, "low": 0.1, "high": 0.3, "of": 48, "verdict": "worse (one training)", "reason": None}
    assert outcomes(verdicts(tmp_path, changed(win_rate=rate))) == {"judge.preference": {"warned"}}


@pytest.mark.parametrize(("limit", "outcome"), [(0.85, {}), (0.95, {"judge.agreement": {"warned"}})])
def test_the_limit_of_agreement_is_the_recipes(tmp_path: Path, limit: float, outcome: dict[str, set[str]]) -> None:
    """0.896 agreed."""
    assert outcomes(verdicts(tmp_path, judged(), agreement_warn=limit)) == outcome


def test_without_the_file_nothing_is_measured(tmp_path: Path) -> None:
    """And each gate says so."""
    found = verdicts(tmp_path, None)
    assert outcomes(found) == {gate: {"not measured"} for gate in found}
    assert len(found) == 3
