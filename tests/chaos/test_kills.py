"""The random kills: a short form over the seedling's quick stages, and the parts of the long one."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.__main__ import PAGE, main
from tests.chaos.attempt import REPOSITORY
from tests.chaos.inspection import Inspector
from tests.chaos.intervals import Intervals
from tests.chaos.processes import about
from tests.chaos.seedling import finished_build, take_over
from tests.chaos.table import Kill, render
from tests.faults.workshop import NoSeedlingError
from tests.golden.digests import read_golden


@pytest.fixture(scope="module")
def finished() -> Path:
    """The build folder of the finished seedling, as `nox -s pipeline` leaves it."""
    try:
        return finished_build()
    except NoSeedlingError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))


@pytest.mark.slow
@pytest.mark.usefixtures("finished", "all_processors")
def test_a_build_that_is_killed_again_and_again_is_not_hurt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Eight times in a minute at most, over all stages that need no training; the rest of `nox -s chaos` is longer."""
    code = main(["--short", "--seed", "6", "--folder", str(tmp_path / "chaos")])
    printed = capsys.readouterr().out
    assert code == 0, printed
    assert "Orphans: 0. Wrong artifacts and other problems: 0." in printed
    assert re.search(r"^\| \*\*all\*\* \| [1-9]", printed, re.MULTILINE)


def test_lives_grow_without_progress_and_shrink_with_it() -> None:
    """So that a build with long steps comes to its end, and one with short ones is still hit."""
    intervals = Intervals(random.Random(1), shortest_s=2.0)
    for _ in range(10):
        intervals.learn(progressed=False)
    assert intervals.mean_s > 100
    assert max(intervals.draw() for _ in range(1000)) <= 4 * intervals.mean_s
    for _ in range(100):
        intervals.learn(progressed=True)
    assert intervals.mean_s == 2.0


def test_the_same_seed_draws_the_same_lives() -> None:
    """What was found can be looked for again, as far as the machine keeps the same pace."""
    first, second = (Intervals(random.Random(7), shortest_s=2.0) for _ in range(2))
    assert [first.draw() for _ in range(20)] == [second.draw() for _ in range(20)]


def test_a_wrong_artifact_is_told_of(finished: Path, tmp_path: Path) -> None:
    """Bytes that differ from those of the manifest, and an artifact that differs from the undisturbed one."""
    take_over(finished, tmp_path, ("prepare", "convert"))
    assert Inspector(tmp_path, read_golden()).wrong_artifacts() == []
    other = {"convert": {"model-f16.gguf": "0" * 64}}
    assert Inspector(tmp_path, other).wrong_artifacts() == ["convert: other bytes than without kills"]
    file = next(tmp_path.glob("store/contents/*/train.jsonl"))
    file.chmod(0o644)
    file.write_bytes(file.read_bytes() + b"\n")
    problems = Inspector(tmp_path, {}).wrong_artifacts()
    assert problems == ["prepare: not the bytes that its manifest names"]


def test_a_process_that_lives_on_is_found(tmp_path: Path) -> None:
    """By its folder, its command or its variables."""
    assert about(tmp_path) == []
    for options in ({"cwd": tmp_path}, {"env": {"HOME": str(tmp_path)}}):
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, **options) as process:
            assert about(tmp_path) == [process.pid]


def test_the_table_counts_by_stage_and_way() -> None:
    """In the order of the plan, with what was before and between the stages."""
    kills = [
        Kill("train", "client", 5.0, 2.0, 90),
        Kill("train", "job", 5.0, 1.4),
        Kill("start", "everything", 1.0, 1.0),
    ]
    lines = render(kills, ["prepare", "train"]).splitlines()
    assert lines[2:] == [
        "| start | 1 | 1 / 0 / 0 | 0 | 1 |",
        "| train | 2 | 0 / 1 / 1 | 1 | 3 |",
        "| **all** | 3 | 1 / 1 / 1 | 1 | 4 |",
    ]


def test_the_page_says_what_was_hurt() -> None:
    """Nothing, in the run that wrote it."""
    assert PAGE == REPOSITORY / "docs" / "chaos.md"
    assert "Orphans: 0. Wrong artifacts and other problems: 0." in PAGE.read_text(encoding="utf-8")
