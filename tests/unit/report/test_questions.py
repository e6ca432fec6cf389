"""Facts, open questions and the base alone, as a reader finds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.report.artifacts import Artifacts
from pipeline.report.baseline import baseline_section
from pipeline.report.document import SECTIONS
from pipeline.report.markdown import render_section
from pipeline.report.questions import facts_section, open_questions_section
from tests.support.healthy_build import evaluation, prompts, write_build, write_json

WRONG = {
    "form": "verify-base",
    "answer": "1860年に設立|された",
    "missing": ["1899年 / 明治32年"],
    "forbidden": ["1860年"],
}


def value(number: float | None) -> dict[str, Any]:
    """A measured value, or none."""
    return {"value": number, "reason": None if number is not None else "not Japanese"}


@pytest.fixture
def build(tmp_path: Path) -> dict[str, Path]:
    """A build that asked 4 questions with facts and 5 open ones; the base got 3 facts wrong and guessed twice."""
    build = write_build(tmp_path)
    found = evaluation()
    found["facts"] = {"questions": 4, "wrong": [{**WRONG, "id": one["id"]} for one in prompts()[:3]]}
    guesses = [{"id": f"open-{at}", "form": "verify-base", "answer": "それは3つです"} for at in range(2)]
    wrongly = {form: 1 if form == "verify-hf" else 0 for form in found["forms"]}
    found["unanswerable"] = {"questions": 5, "guessed": guesses, "answerable": 47, "abstained_wrongly": wrongly}
    values = {form: value(0.6 if form == "verify-base" else 1.0) for form in found["forms"]}
    found["metrics"]["abstention"] = {**found["metrics"]["bleu"], "values": values, "differences": []}
    write_json(build["evaluate"] / "evaluation.json", found)
    return build


def shown(build: dict[str, Path], section: Any, *, rows: bool) -> str:
    """A section as Markdown; empty without one."""
    found = section(Artifacts(build, settings={"show_data_rows": rows}))
    return "" if found is None else render_section(found)


def test_wrong_facts_are_counted_and_listed(build: dict[str, Path]) -> None:
    """With the question, and what is missing or forbidden; a bar within an answer breaks no table."""
    text = shown(build, facts_section, rows=True)
    assert "| base " in text
    assert "75.0 %" in text
    assert prompts()[0]["input"]["theme"] in text
    assert "1899年 / 明治32年" in text
    assert "設立\\|された" in text


def test_without_leave_no_answer_and_no_fact_is_shown(build: dict[str, Path]) -> None:
    """They are rows of somebody's data."""
    text = shown(build, facts_section, rows=False) + shown(build, open_questions_section, rows=False)
    assert "75.0 %" in text
    for secret in ("1860年", "1899年", "それは3つです", prompts()[0]["input"]["theme"]):
        assert secret not in text


def test_abstentions_are_told_both_ways(build: dict[str, Path]) -> None:
    """Right where the data are silent, wrong elsewhere."""
    text = shown(build, open_questions_section, rows=True)
    assert "| base " in text
    assert "3 of 5" in text
    assert "1 of 47" in text
    assert "それは3つです" in text


def test_nothing_asked_is_no_section(tmp_path: Path) -> None:
    """The metrics say why nothing was measured."""
    build = write_build(tmp_path)
    assert shown(build, facts_section, rows=True) == shown(build, open_questions_section, rows=True) == ""


def test_long_lists_are_cut_and_say_so(build: dict[str, Path]) -> None:
    """The rest is in evaluation.json; a base that is wrong everywhere hides no fault of the tuned model."""
    found = evaluation()
    wrong = [{**WRONG, "id": one["id"]} for one in prompts()[:48]]
    wrong.append({**WRONG, "id": prompts()[0]["id"], "form": "verify-hf", "answer": "昔からあります"})
    found["facts"] = {"questions": 48, "wrong": wrong}
    write_json(build["evaluate"] / "evaluation.json", found)
    text = shown(build, facts_section, rows=True)
    assert "And 36 more in evaluation.json." in text
    assert "昔からあります" in text


def test_the_base_alone_is_shown_until_there_is_more(build: dict[str, Path]) -> None:
    """A build that stopped before its evaluation still says how the base does."""
    assert shown(build, baseline_section, rows=False) == ""
    del build["evaluate"]
    text = shown(build, baseline_section, rows=False)
    assert "48 held-out prompts" in text
    assert "| bleu " in text
    assert "| keigo " not in text


def test_the_report_has_these_sections() -> None:
    """After the metrics."""
    assert {baseline_section, facts_section, open_questions_section} <= set(SECTIONS)
