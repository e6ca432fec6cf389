"""A reference answer without its own fact is a fault of the data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.gates.data_facts import facts
from pipeline.gates.verdict import Evidence, Verdict
from tests.support.prepared import recipe

NAMED = {"must_contain": "must_contain"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What `prepare` published."""
    return tmp_path


def judged(folder: Path, found: dict[str, Any] | None) -> Verdict:
    """Return the verdict on what the audit says."""
    (folder / "audit.json").write_text(json.dumps({} if found is None else {"facts": found}))
    (verdict,) = facts(Evidence(folder, {}, recipe(columns=NAMED)))
    return verdict


def counted(count: int, *examples: str, train: int = 90) -> dict[str, Any]:
    """An audit of references."""
    return {"rows": {"train": train, "validation": 0, "test": 0}, "count": count, "examples": list(examples)}


def test_a_reference_without_its_fact_fails_with_its_place(folder: Path) -> None:
    """One is enough: a right answer would be scored as wrong."""
    verdict = judged(folder, counted(1, "train.jsonl:3 (rows.csv:4) lacks 1899年"))
    assert (verdict.outcome, verdict.value) == ("failed", 1)
    assert verdict.evidence[1] == "train.jsonl:3 (rows.csv:4) lacks 1899年"


def test_references_that_hold_their_facts_pass(folder: Path) -> None:
    """And how many rows have facts is told."""
    verdict = judged(folder, counted(0))
    assert verdict.outcome == "passed"
    assert verdict.evidence == ("90 rows with facts: 90 in train, 0 in validation, 0 in test",)


@pytest.mark.parametrize("found", [None, counted(0, train=0)])
def test_nothing_to_look_at_is_no_pass(folder: Path, found: dict[str, Any] | None) -> None:
    """Columns that are named and empty, or an audit that is silent."""
    verdict = judged(folder, found)
    assert verdict.outcome == "not measured"
    assert verdict.cause


def test_a_recipe_without_facts_gets_no_verdict(folder: Path) -> None:
    """There is nothing to judge."""
    assert facts(Evidence(folder, {}, recipe())) == ()
