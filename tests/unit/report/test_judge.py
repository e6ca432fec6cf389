"""The section on the judge: who wins, how sure, how far to trust it, and that no judge is no zero."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.report.artifacts import Artifacts
from pipeline.report.blocks import Notice
from pipeline.report.judge import judge_section
from pipeline.report.markdown import render_section
from pipeline.report.record import recorded_section
from tests.support.healthy_build import judged, write_build, write_json


@pytest.fixture
def build(tmp_path: Path) -> dict[str, Path]:
    """A healthy build with a judge."""
    return write_build(tmp_path)


def rendered(build: dict[str, Path], **settings: Any) -> str:
    """The section as Markdown."""
    return render_section(judge_section(Artifacts(build, settings=settings)))


def row(section: str, table: int, name: str) -> list[str]:
    """The cells of a row of one of the section's tables."""
    lines = [line for line in section.splitlines() if line.startswith(f"| {name} ")]
    return [cell.strip() for cell in lines[table].strip("|").split("|")]


def changed(build: dict[str, Path], **changes: Any) -> None:
    """Change the first pair of judge.json."""
    found = judged()
    found["pairs"] = [{**found["pairs"][0], **changes}, found["pairs"][1]]
    write_json(build["judge"] / "judge.json", found)


def test_a_win_rate_stands_with_interval_and_verdict(build: dict[str, Path]) -> None:
    """With the contradictions among the ties."""
    found = row(rendered(build), 0, "adapter against base")
    assert found[1:] == ["48", "35", "5", "8", "5", "0", "0.812", "0.710 to 0.890", "better (one training)"]


def test_trust_stands_beside_it(build: dict[str, Path]) -> None:
    """Agreement, position and length; what could not be measured is no zero."""
    found = row(rendered(build), 1, "adapter against base")
    assert found[1:] == ["0.896", "0.778 to 0.955", "0.510", "0.460 to 0.560", "–", "–"]


def test_a_judge_that_goes_by_position_shows(build: dict[str, Path]) -> None:
    """The reader sees it beside the win rate."""
    changed(build, first_position={"value": 0.0, "low": 0.0, "high": 0.1, "of": 35, "reason": None})
    assert row(rendered(build), 1, "adapter against base")[3:5] == ["0.000", "0.000 to 0.100"]


def test_a_judge_that_contradicts_itself_is_told_of_first(build: dict[str, Path]) -> None:
    """Its ties make a narrow interval around one half, which says nothing about the answers."""
    verdict = {"gate": "judge.agreement", "outcome": "warned"}
    section = judge_section(Artifacts(build, verdicts={"judge": [verdict]}))
    titles = [block.title for block in section.blocks if isinstance(block, Notice)]
    assert titles == ["The judge contradicts itself"]
    assert "contradicts itself" not in rendered(build)


def test_what_could_not_be_read_has_a_reason_and_no_row(build: dict[str, Path]) -> None:
    """Nothing is shown as a tie."""
    no = {"reason": "90 of 96 verdicts could not be read (90 empty); at most 0.1 of them may be"}
    changed(build, win_rate=no, agreement=no, first_position=no, longer_answer=no)
    section = rendered(build)
    assert "| adapter against base " not in section
    assert "adapter against base: not measured: 90 of 96 verdicts could not be read" in section
    assert "| Q4_K_M against adapter " in section


def test_a_share_that_is_not_there_has_a_reason(build: dict[str, Path]) -> None:
    """The dash in the table is explained below it."""
    told = "adapter against base, longer answer won: no prompt was won between answers of different length"
    assert told in rendered(build)


def test_a_few_unreadable_verdicts_are_told(build: dict[str, Path]) -> None:
    """They are left out of the rate, not hidden."""
    changed(build, unread_prompts=2, unread_verdicts={"refused": 1, "empty": 2})
    assert "2 prompts left out, verdicts that could not be read: 1 refused, 2 empty" in rendered(build)


def test_tokens_and_cost_are_told(build: dict[str, Path]) -> None:
    """In the recipe's currency."""
    section = rendered(build)
    assert "96,000 of the prompts, 9,600 of the answers" in section
    assert "0.336 USD" in section


def test_every_number_is_in_the_record(build: dict[str, Path]) -> None:
    """What the page shows can be computed with."""
    text = json.dumps(recorded_section(judge_section(Artifacts(build))))
    assert all(figure in text for figure in ("0.8125", "0.895833", "96000", "0.336"))


def test_without_a_judge_it_says_so(build: dict[str, Path]) -> None:
    """Not measured is not zero."""
    del build["judge"]
    assert rendered(build) == "## A language model as judge\n\nNot measured: the recipe names no judge."


def test_a_run_that_stopped_before_the_judge_says_so(build: dict[str, Path]) -> None:
    """The recipe names one."""
    del build["judge"]
    assert "Not measured: the judge was not asked." in rendered(build, judge="judge-1")
