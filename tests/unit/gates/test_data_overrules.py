"""What a person decided shows in the gates, and nobody decides in a person's name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.gates.data_overrules import overrules
from pipeline.gates.data_rows import tag_lists
from pipeline.gates.verdict import Evidence, Verdict
from tests.support.prepared import recipe

WRITTEN = [
    {"decision": "keep", "row": "0" * 16, "number": 1},
    {"decision": "drop", "row": "1" * 16, "number": 4},
]


def told(*states: str) -> dict[str, Any]:
    """What `prepare` says became of the decisions."""
    found = [
        {**entry, "state": state, "why": "because", "rows": []} for entry, state in zip(WRITTEN, states, strict=True)
    ]
    return {"entries": found, "kept": 1, "dropped": 2}


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    """The folders of both stages, and a recipe with overrules."""
    for name in ("prepare", "overrules"):
        (tmp_path / name).mkdir()
    (tmp_path / "overrules" / "entries.json").write_text(json.dumps(WRITTEN))
    named = recipe(data={"source": "seedling", "overrules": "o.jsonl"})
    return Evidence(tmp_path / "prepare", {"overrules": tmp_path / "overrules"}, named)


def judged(evidence: Evidence, found: dict[str, Any]) -> Verdict:
    """Return the verdict on what `prepare` says."""
    (evidence.folder / "overrules.json").write_text(json.dumps(found))
    (verdict,) = overrules(evidence)
    return verdict


def test_overrules_that_act_pass_and_are_counted(evidence: Evidence) -> None:
    """How many rows stay and went shows in the manifest and the report."""
    verdict = judged(evidence, told("applied", "applied"))
    assert (verdict.outcome, verdict.value) == ("passed", 0)
    assert verdict.evidence == ("1 rows kept and 2 dropped by a person",)


@pytest.mark.parametrize("state", ["stale", "idle", "refused"])
def test_an_overrule_without_effect_is_never_silent(evidence: Evidence, state: str) -> None:
    """It warns with its line."""
    verdict = judged(evidence, told("applied", state))
    assert (verdict.outcome, verdict.value) == ("warned", 1)
    assert verdict.evidence[1] == f"line 4, drop {'1' * 16}: {state}, because"


def test_an_overrule_that_nobody_wrote_fails(evidence: Evidence) -> None:
    """The stage may excuse no row by itself."""
    found = told("applied", "applied")
    found["entries"].append({"decision": "keep", "row": "2" * 16, "number": 5, "state": "applied", "rows": []})
    assert judged(evidence, found).outcome == "failed"


def test_a_missing_file_is_not_measured(evidence: Evidence) -> None:
    """Nor taken for no overrule."""
    (verdict,) = overrules(evidence)
    assert verdict.outcome == "not measured"


def test_a_recipe_without_overrules_has_no_verdict(evidence: Evidence) -> None:
    """There is nothing to say."""
    assert overrules(Evidence(evidence.folder, {}, recipe())) == ()


def test_rows_that_a_person_keeps_are_told_and_not_counted(evidence: Evidence) -> None:
    """The gate on tag lists passes, and names their number."""
    audit = {"tag_lists": {"count": 0, "examples": [], "kept_by_person": 3}}
    (evidence.folder / "audit.json").write_text(json.dumps(audit))
    (verdict,) = tag_lists(evidence)
    assert verdict.outcome == "passed"
    assert verdict.evidence == ("3 more that a person keeps, not counted",)
