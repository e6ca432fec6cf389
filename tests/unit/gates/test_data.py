"""Each data gate fires on what it is for, and stays silent on a healthy set."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.gates.data import data_gates
from pipeline.gates.verdict import Evidence, Verdict
from pipeline.recipe import Recipe

NONE: dict[str, Any] = {"count": 0, "examples": []}
SOME: dict[str, Any] = {"count": 2, "examples": ["train.jsonl:3 0123 自己紹介｜子育て｜ワーママ"]}

AUDIT: dict[str, Any] = {
    "rows": {"train": 4800, "validation": 600, "test": 600},
    "unreadable": NONE,
    "misshapen": NONE,
    "broken": NONE,
    "wrong_length": NONE,
    "wrong_language": NONE,
    "tag_lists": NONE,
    "exact_duplicates": NONE,
    "near_duplicates": {**NONE, "method": "every row against every other", "probes": 6000, "exact": True},
    "leakage": {"exact": NONE, "near": NONE, "group": NONE, "id": NONE},
    "dropped": {"rows": 300, "reasons": {"tag-list": 150, "exact-duplicate": 150}, "contaminated": 150},
    "diversity": {
        "distinct_opening_share": 0.5,
        "commonest_opening": {"text": "はじめて", "share": 0.02},
        "distinct_pattern_share": 0.9,
        "commonest_pattern": {"pattern": "漢の漢", "share": 0.01, "rows": 60},
        "inputs": 1200,
        "rows_per_input": {"mean": 5.0, "max": 12},
        "duplicate_clusters": {"count": 150, "largest": 2},
    },
    "categories": {
        "生活": {"train": 2400, "validation": 300, "test": 300},
        "仕事": {"train": 2400, "validation": 300, "test": 300},
    },
    "sources": {"train": {"rows.jsonl": 4800}, "validation": {"rows.jsonl": 600}, "test": {"rows.jsonl": 600}},
}
FUNNEL: dict[str, Any] = {
    "rows_in": 6300,
    "files": {"rows.jsonl": 6300},
    "classifier": {
        "titles": 100,
        "tag_lists": 40,
        "precision": 1.0,
        "recall": 1.0,
        "lost_titles": [],
        "missed_tag_lists": [],
    },
}
Judge = Callable[..., dict[str, list[Verdict]]]


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """Return a function that changes measurements (`audit__rows__test=0`) and runs all gates."""

    def run(recipe: dict[str, Any] | None = None, **changes: Any) -> dict[str, list[Verdict]]:
        files = {"audit": copy.deepcopy(AUDIT), "funnel": copy.deepcopy(FUNNEL)}
        for name, value in changes.items():
            *path, last = name.split("__")
            place: Any = files
            for step in path:
                place = place[step]
            assert last in place
            place[last] = value
        for name, content in files.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
        return verdicts(tmp_path, recipe)

    return run


def verdicts(folder: Path, recipe: dict[str, Any] | None = None) -> dict[str, list[Verdict]]:
    """Run all gates on a folder; verdicts by gate."""
    base = {
        "name": "test",
        "description": "A recipe for tests",
        "base": {"source": "seedling"},
        "data": {"source": "files", "files": ["rows.jsonl"]},
        "prompt": {"user": "{theme}"},
        "columns": {"category": "category", "group": "group"},
    }
    found: dict[str, list[Verdict]] = {}
    evidence = Evidence(folder, {}, Recipe.model_validate({**base, **(recipe or {})}))
    for gate in data_gates:
        for verdict in gate(evidence):
            found.setdefault(verdict.gate, []).append(verdict)
    return found


def test_a_healthy_set_passes_every_gate(judge: Judge) -> None:
    """No gate fires without a cause, and each says value, limit and source."""
    for gate in judge().values():
        for verdict in gate:
            assert verdict.outcome == "passed", verdict
            assert verdict.value is not None
            assert verdict.limit
            assert verdict.source


@pytest.mark.parametrize(
    ("change", "gate", "outcome"),
    [
        ({"audit__tag_lists": SOME}, "data.tag-lists", "failed"),
        ({"audit__exact_duplicates": SOME}, "data.exact-duplicates", "failed"),
        ({"audit__near_duplicates__count": 1}, "data.near-duplicates", "failed"),
        ({"audit__broken": SOME}, "data.broken-rows", "failed"),
        ({"audit__unreadable": SOME}, "data.broken-rows", "failed"),
        ({"audit__misshapen": SOME}, "data.format", "failed"),
        ({"audit__wrong_length": SOME}, "data.format", "failed"),
        ({"audit__wrong_language": SOME}, "data.format", "failed"),
        ({"audit__dropped__rows": 299}, "data.nothing-vanished", "failed"),
        ({"audit__dropped__contaminated": 316}, "data.contamination", "warned"),
        ({"audit__dropped__contaminated": 3151}, "data.contamination", "failed"),
        ({"audit__rows": {"train": 400, "validation": 49, "test": 50}}, "data.clean-rows", "failed"),
        ({"audit__rows": {"train": 799, "validation": 100, "test": 100}}, "data.clean-rows", "warned"),
        (
            {"audit__diversity__commonest_pattern": {"pattern": "漢の漢", "share": 0.31, "rows": 1860}},
            "data.diversity",
            "warned",
        ),
        ({"funnel__classifier__precision": 0.99}, "data.real-titles-stay", "failed"),
        ({"funnel__classifier__recall": 0.8}, "data.tag-lists-found", "failed"),
        ({"audit__rows__test": 0}, "data.split", "failed"),
        ({"audit__rows__validation": 0}, "data.split", "failed"),
        ({"audit__rows": {"train": 5200, "validation": 200, "test": 600}}, "data.split", "warned"),
        ({"audit__categories__生活__test": 360, "audit__categories__仕事__test": 240}, "data.stratification", "warned"),
        ({"audit__sources__test": {"made.jsonl": 3}}, "data.augmentation", "failed"),
    ],
)
def test_a_gate_fires_on_its_own_fault(judge: Judge, change: dict[str, Any], gate: str, outcome: str) -> None:
    """The gate that the fault belongs to says so, with a cause and advice."""
    (verdict,) = judge(**change)[gate]
    assert verdict.outcome == outcome
    assert verdict.cause
    assert verdict.advice


@pytest.mark.parametrize("kind", ["exact", "near", "group", "id"])
def test_each_kind_of_leak_fails(judge: Judge, kind: str) -> None:
    """Only the verdict of that kind fails, and it names the rows."""
    found = {verdict.subject: verdict for verdict in judge(**{f"audit__leakage__{kind}": SOME})["data.leakage"]}
    assert {subject: verdict.outcome for subject, verdict in found.items() if verdict.outcome != "passed"} == {
        kind: "failed"
    }
    assert SOME["examples"][0] in found[kind].evidence


def test_evidence_names_the_rows(judge: Judge) -> None:
    """A reader can look the row up."""
    assert judge(audit__tag_lists=SOME)["data.tag-lists"][0].evidence == tuple(SOME["examples"])


def test_a_sampled_search_says_so(judge: Judge) -> None:
    """How many rows were compared stands in the evidence of a pass as well."""
    change = {"audit__near_duplicates": {**NONE, "method": "a sample against all rows", "probes": 1500, "exact": False}}
    (verdict,) = judge(**change)["data.near-duplicates"]
    assert verdict.outcome == "passed"
    assert "1500 rows compared: a sample against all rows" in verdict.evidence[0]


def test_limits_come_from_the_recipe(judge: Judge) -> None:
    """A recipe may allow more."""
    recipe = {"gates": {"data": {"tag_lists": 2, "rows_fail": 100, "rows_warn": 200}}}
    found = judge(recipe, audit__tag_lists=SOME, audit__rows={"train": 400, "validation": 50, "test": 49})
    assert found["data.tag-lists"][0].outcome == "passed"
    assert found["data.clean-rows"][0].outcome == "passed"


def test_without_label_columns_their_gates_are_not_measured(judge: Judge) -> None:
    """No category and no group: said, and never passed."""
    found = judge({"columns": {}})
    assert found["data.stratification"][0].outcome == "not measured"
    (group,) = [verdict for verdict in found["data.leakage"] if verdict.subject == "group"]
    assert (group.outcome, group.value) == ("not measured", None)


@pytest.mark.parametrize("content", [None, "not json", "[]"])
def test_without_measurements_nothing_passes(tmp_path: Path, content: str | None) -> None:
    """A missing or damaged file is not measured, in every gate."""
    for name in ("audit.json", "funnel.json"):
        if content is not None:
            (tmp_path / name).write_text(content, encoding="utf-8")
    for gate in verdicts(tmp_path).values():
        for verdict in gate:
            assert verdict.outcome == "not measured"
            assert verdict.value is None
            assert verdict.cause


def test_an_empty_set_fails_on_its_size_alone(judge: Judge) -> None:
    """No clean row at all: one clear failure, the rest is not measured or empty."""
    found = judge(audit__rows={"train": 0, "validation": 0, "test": 0}, audit__dropped__rows=6300, audit__categories={})
    assert found["data.clean-rows"][0].outcome == "failed"
    assert found["data.split"][0].outcome == "not measured"
    assert found["data.diversity"][0].outcome == "not measured"


def test_too_few_rows_are_told_with_what_took_the_others(judge: Judge) -> None:
    """English rows under the Japanese default: the setting is named, the commonest reason first."""
    lost = {"exact-duplicate": 12, "wrong-language": 6000, "empty": 1}
    found = judge(audit__rows={"train": 1, "validation": 1, "test": 1}, audit__dropped__reasons=lost)
    evidence = found["data.clean-rows"][0].evidence
    assert [line.partition(":")[0] for line in evidence[:3]] == [
        "6000 dropped as wrong-language",
        "12 dropped as exact-duplicate",
        "1 dropped as empty",
    ]
    assert any('clean.language = "any"' in line for line in evidence)


def test_contamination_names_the_commonest_reason_first(judge: Judge) -> None:
    """What a person should look at; a report shows the first three."""
    found = judge(
        audit__dropped__contaminated=3151, audit__dropped__reasons={"empty": 8, "tag-list": 352, "mojibake": 8}
    )
    assert found["data.contamination"][0].evidence[:3] == ("352 tag-list", "8 empty", "8 mojibake")
