"""The studies' tables over results that are made up here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.workshop import BUILD_VARIABLE, REPOSITORY
from tests.studies import ablation, calibration, trials
from tests.studies.subjects import SOUND, SUBJECTS, SUSPECTS


def verdict(gate: str, outcome: str, value: float) -> dict[str, Any]:
    """One verdict as a trial writes it."""
    return {"gate": gate, "subject": "all", "outcome": outcome, "value": value, "unit": "answers", "limit": "at most 0"}


def speech(degenerate: int, ended: int) -> dict[str, Any]:
    """What 100 answers were like."""
    return {
        "stage": "verify-hf",
        "refusal": "",
        "verdicts": [verdict("generation.degenerate", "failed" if degenerate else "passed", degenerate)],
        "answers": 100,
        "ended": ended,
        "tag_lists": 0,
        "samples": ["題名\n<|im_end|>"],
    }


def sound(seed: int, babble: int = 0) -> dict[str, Any]:
    """A run of the sound recipe, asked in its three ways; with the line break it babbles as told."""
    asked = {"sound": speech(0, 100), "eos": speech(90, 2), "line-break": speech(babble, 100 - babble)}
    stages = [{"stage": "prepare", "refusal": "", "verdicts": [verdict("data.leakage", "passed", 0)]}]
    return {"subject": "sound", "seed": seed, "stages": stages, "asked": asked}


def test_a_suspect_is_judged_over_all_seeds() -> None:
    """How many runs babbled, and the median with the lowest and the highest share."""
    rows = {row[0].split("`")[1]: row for row in ablation.table([sound(1), sound(2, 4), sound(3, 8)])}
    assert rows["line-break"][1:3] == ("2 of 3", "4 % (0 to 8)")
    assert rows["eos"][1] == "3 of 3"
    assert rows["sound"][1] == "0 of 3"


def test_the_first_gate_that_fails_is_named() -> None:
    """That of the earliest stage, although a later one fails as well."""
    run = sound(1)
    run["stages"][0]["verdicts"][0]["outcome"] = "failed"
    assert ablation.first_failure(run, "eos") == "data.leakage"
    assert ablation.first_failure(sound(1), "eos") == "generation.degenerate"
    assert ablation.first_failure(sound(1), "sound") == ""


def test_the_page_holds_every_way_to_ask_and_stays_a_table() -> None:
    """Marks of the template and line breaks in an answer break neither list nor table."""
    page = ablation.page([sound(1)], 1)
    assert all(f"| `{name}`: " in page for name in SOUND.askings)
    assert "- `eos`: 題名⏎<\\|im_end|>" in page


def test_an_alarm_on_a_sound_run_is_named() -> None:
    """With the recipe, the seed, the gate and the figure; nothing else is an alarm."""
    bad = sound(2)
    bad["stages"][0]["verdicts"][0] |= {"outcome": "failed", "value": 3}
    assert calibration.alarms([sound(1)]) == []
    assert calibration.alarms([sound(1), bad]) == ["sound, seed 2: data.leakage (all): 3 answers"]


def test_the_range_of_a_figure_is_over_all_runs() -> None:
    """Lowest and highest, and how often the gate failed."""
    high = sound(2)
    high["stages"][0]["verdicts"][0] |= {"outcome": "failed", "value": 3}
    (row,) = [row for row in calibration.table([sound(1), high]) if row[1] == "`data.leakage`"]
    assert row[5:] == ("0", "3", "", "1")


def test_every_suspect_of_v1_is_tried() -> None:
    """Those that the issue names: tag lists, duplicates, epochs, EOS, the line break, the scale; and all together."""
    asked = {name for subject in SUSPECTS for name in subject.askings}
    assert {"tag-lists", "duplicates", "epochs", "eos", "line-break", "lora-scale", "everything"} <= asked
    assert len(SUBJECTS) == len({subject.name for subject in SUBJECTS.values()})


def test_a_trial_that_fails_shows_the_end_of_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The subject, the seed and the last lines; no result is left behind."""
    monkeypatch.setenv(BUILD_VARIABLE, str(tmp_path))
    with pytest.raises(trials.TrialError, match="no finished seedling"):
        trials.run_trial("sound", 1, tmp_path / "result.json")
    assert not (tmp_path / "result.json").exists()


def test_without_a_finished_seedling_it_is_said(tmp_path: Path) -> None:
    """Exit code 2 and what to run; no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.studies", "ablate"],
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin", BUILD_VARIABLE: str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "python -m pipeline run" in done.stderr
    assert "Traceback" not in done.stderr
