"""`gates`: what was measured on the last build, judged by today's limits, for a person and for a machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

from pipeline.arguments import OUTCOMES, parse
from pipeline.commands import gates
from pipeline.display import TerminalDisplay
from pipeline.errors import UsageError
from pipeline.gates.verdict import Outcome, Verdict
from tests.support.workplace import Workplace

REASON = "there are no more rows in the whole company"


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """A place in which nothing has been built."""
    return Workplace(tmp_path, monkeypatch)


def reviews(workplace: Workplace, *options: str) -> dict[str, Mapping[str, Any]]:
    """Return stage → what a machine is told of it, in the order told."""
    return {item["stage"]: item for item in workplace.answer(gates.main, "gates", *options)["stages"]}


def outcomes(workplace: Workplace, *options: str) -> dict[str, str]:
    """Return gate → outcome, of the prepared rows."""
    verdicts = reviews(workplace, *options)["prepare"]["verdicts"]
    return {verdict["gate"]: verdict["outcome"] for verdict in verdicts}


def printed(workplace: Workplace, capsys: pytest.CaptureFixture[str], *options: str) -> list[str]:
    """Return the lines that a person reads."""
    assert gates.main(parse(["gates", *options, *workplace.arguments]), [TerminalDisplay()]) == 0
    return capsys.readouterr().out.splitlines()


def too_few(workplace: Workplace) -> None:
    """Ask for more rows than there are, after they were prepared."""
    workplace.prepare()
    workplace.change("rows_fail = 10", "rows_fail = 500")


def test_a_built_stage_has_its_verdicts_and_the_others_are_not_built(workplace: Workplace) -> None:
    """Every stage of the plan is named, in the order of the work."""
    workplace.prepare()
    found = reviews(workplace)
    assert (next(iter(found)), list(found)[-1]) == ("fetch-base", "release")
    assert {name for name, item in found.items() if item["state"] == "built"} == {"fetch-data", "prepare"}
    assert found["train"] == {"stage": "train", "state": "not built", "note": "", "verdicts": [], "stops": ()}
    assert outcomes(workplace)["data.clean-rows"] == "warned"


def test_a_build_folder_without_a_build_is_no_error(workplace: Workplace) -> None:
    """All stages are named as not built, and no verdict is counted."""
    event = workplace.answer(gates.main, "gates")
    assert {item["state"] for item in event["stages"]} == {"not built"}
    assert set(event["counts"].values()) == {0}


def test_todays_limits_count(workplace: Workplace) -> None:
    """A limit changed since the run judges without one."""
    too_few(workplace)
    assert outcomes(workplace)["data.clean-rows"] == "failed"


def test_a_failure_names_the_stages_that_it_stops(workplace: Workplace) -> None:
    """Those that stand on the stage, near or far; a stage that holds stops none."""
    too_few(workplace)
    found = reviews(workplace)
    assert "fetch-base" not in found["prepare"]["stops"]
    assert {"preflight", "train", "release"} <= set(found["prepare"]["stops"])
    assert found["fetch-data"]["stops"] == ()


def test_a_waiver_shows_with_its_reason(workplace: Workplace) -> None:
    """The verdict is `waived`, and nothing is stopped."""
    too_few(workplace)
    workplace.waive("data.clean-rows", REASON)
    found = reviews(workplace, "--only", "waived")["prepare"]
    assert [(verdict["gate"], verdict["waiver"]) for verdict in found["verdicts"]] == [("data.clean-rows", REASON)]
    assert found["stops"] == ()


def test_only_picks_verdicts_and_counts_all(workplace: Workplace) -> None:
    """What is left out of the list stays in the counts."""
    workplace.prepare()
    event = workplace.answer(gates.main, "gates", "--only", "warned,not-measured")
    listed = [verdict["outcome"] for item in event["stages"] for verdict in item["verdicts"]]
    assert set(listed) == {"warned", "not measured"}
    assert event["counts"]["passed"] > 0
    assert len(listed) == event["counts"]["warned"] + event["counts"]["not measured"]


def test_a_stage_or_family_can_be_picked(workplace: Workplace) -> None:
    """A family is all its stages."""
    assert list(reviews(workplace, "--stage", "prepare")) == ["prepare"]
    assert list(reviews(workplace, "--stage", "quantize")) == ["quantize-Q4_K_M"]


def test_an_unknown_stage_is_answered_with_the_nearest(workplace: Workplace) -> None:
    """A wrong command line."""
    with pytest.raises(UsageError) as caught:
        reviews(workplace, "--stage", "prepaer")
    assert (caught.value.exit_code, caught.value.advice) == (2, "did you mean prepare?")


def test_an_unknown_verdict_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong command line as well."""
    with pytest.raises(SystemExit) as caught:
        parse(["gates", "--only", "passed,not-mesured"])
    assert caught.value.code == 2
    assert "'not mesured' is no verdict (did you mean not-measured?)" in capsys.readouterr().err


def test_the_command_line_knows_every_verdict() -> None:
    """The quick command line does not import the gates for their list."""
    assert sorted(OUTCOMES) == sorted(get_args(Outcome))


def test_a_build_of_other_settings_says_so(workplace: Workplace) -> None:
    """Its verdicts are shown, and that a run would replace it."""
    workplace.prepare()
    workplace.change("[gates.data]", "[clean]\nmax_chars = 60\n\n[gates.data]")
    found = reviews(workplace)["prepare"]
    assert (found["state"], found["note"]) == ("outdated", "the recipe has other settings for it now")
    assert found["verdicts"]


def test_a_build_of_an_earlier_input_says_so(workplace: Workplace) -> None:
    """Where a gate stopped the run, what lies behind it is older."""
    workplace.prepare()
    with (workplace.recipe.parent / "rows.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"theme": "夜", "title": "夜の山でひとり星を数えた話"}\n')
    assert workplace.run("fetch-data") == 0
    found = reviews(workplace)["prepare"]
    assert (found["state"], found["note"]) == ("outdated", "fetch-data has been built anew since")


def test_a_damaged_build_is_not_judged(workplace: Workplace) -> None:
    """The file is named in place of verdicts."""
    workplace.prepare()
    (audit,) = (workplace.build / "store" / "contents").glob("*/audit.json")
    audit.chmod(0o644)
    audit.write_text("{}", encoding="utf-8")
    found = reviews(workplace)["prepare"]
    assert (found["state"], found["verdicts"]) == ("damaged", [])
    assert found["note"].startswith("audit.json: ")


def test_a_person_reads_a_table_and_the_counts_last(workplace: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each verdict with value, unit and limit; the stage once."""
    workplace.prepare()
    lines = printed(workplace, capsys, "--stage", "prepare")
    assert lines[0].split() == ["stage", "gate", "of", "what", "value", "limit", "verdict"]
    (row,) = [line for line in lines if " data.clean-rows " in line]
    assert row.split()[1:5] == ["clean", "rows", "60", "rows"]
    assert row.endswith(" warned")
    assert sum(line.startswith(" prepare ") for line in lines) == 1
    assert lines[-1].endswith(" 0 waived, 0 failed")


def test_a_person_reads_what_is_stopped(workplace: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where the failures are not listed."""
    too_few(workplace)
    lines = printed(workplace, capsys, "--only", "passed")
    assert any(line.startswith("prepare: data.clean-rows stops preflight, ") for line in lines)
    assert "train: not built" in lines


def test_verbose_adds_what_a_verdict_carries(workplace: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    """Cause, advice, evidence, waiver and source, each on a line."""
    too_few(workplace)
    workplace.waive("data.clean-rows", REASON)
    lines = printed(workplace, capsys, "--only", "waived", "--verbose")
    start = lines.index("prepare: data.clean-rows (clean rows): waived")
    names = [line.split(":")[0].strip() for line in lines[start + 1 :] if line.startswith("    ")]
    assert names[:2] == ["cause", "do"]
    assert set(names) == {"cause", "do", "see", "waived", "source"}
    assert f"    waived: {REASON}" in lines


def test_evidence_cannot_steer_the_terminal() -> None:
    """It may quote a damaged row; what is written full width stays."""
    cause = "a row\x1b[2J\u3000朝"
    lines = list(gates._details("prepare", Verdict("a.b", "rows", "failed", 1, "rows", "0", "", cause)))
    assert lines[1] == "    cause:  a row�[2J\u3000朝"
