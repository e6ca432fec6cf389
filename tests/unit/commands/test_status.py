"""`status`: what a run would find, judged by today's limits, without a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.arguments import parse
from pipeline.commands import status
from tests.support.workplace import Workplace


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """A place in which nothing has been built."""
    return Workplace(tmp_path, monkeypatch)


def states_in(workplace: Workplace) -> dict[str, tuple[str, list[str]]]:
    """Return stage → its state and the reasons, in the order told."""
    event = workplace.answer(status.main, "status")
    return {item["stage"]: (item["state"], list(item["reasons"])) for item in event["stages"]}


def test_each_stage_is_listed_with_its_state(workplace: Workplace) -> None:
    """What is there, what a run would build, and what cannot be known before; in the order of the work."""
    workplace.prepare()
    found = states_in(workplace)
    assert list(found)[:3] == ["fetch-base", "fetch-data", "prepare"]
    assert list(found)[-1] == "release"
    states = {stage: state for stage, (state, _) in found.items()}
    expected = {"fetch-base": "missing", "fetch-data": "up to date", "prepare": "up to date", "preflight": "unknown"}
    assert states | expected == states
    assert found["preflight"][1] == ["fetch-base is to be built first"]


def test_a_limit_changed_since_the_run_is_applied_without_one(workplace: Workplace) -> None:
    """A stored artifact that fails today's limit is `gate failed`, with gate and cause."""
    workplace.prepare()
    workplace.change("rows_fail = 10", "rows_fail = 500")
    state, reasons = states_in(workplace)["prepare"]
    assert state == "gate failed"
    assert [reason.partition(":")[0] for reason in reasons] == ["data.clean-rows"]


def test_a_waived_gate_is_up_to_date(workplace: Workplace) -> None:
    """A written exception is applied without a run as well."""
    workplace.prepare()
    workplace.change("rows_fail = 10", "rows_fail = 500")
    workplace.waive("data.clean-rows", "there are no more rows")
    assert states_in(workplace)["prepare"] == ("up to date", [])


def test_what_a_person_reads_is_a_line_for_each_stage(workplace: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    """Name, state and first reason, and how many are up to date."""
    from pipeline.display import TerminalDisplay

    workplace.prepare()
    assert status.main(parse(["status", *workplace.arguments]), [TerminalDisplay()]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == list(states_in(workplace))
    assert f"{'prepare':<22} up to date" in lines
    assert lines[-1] == f"2 of {len(lines) - 1} stages up to date"
