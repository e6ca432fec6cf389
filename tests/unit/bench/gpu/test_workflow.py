"""The job of gpu.yml that measures a card: its shell steps, run with a stand-in for the machine's Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.gpu.command import TABLES, is_wanted, parser
from bench.gpu.parts import plan
from bench.gpu.results import FILE
from bench.gpu.shapes import LARGE, SMALL
from tests.support.workflows import RECORDER, read_workflow, run_step, step_of, write_program


@pytest.fixture(scope="module")
def workflow() -> dict[str, Any]:
    """The whole file."""
    return read_workflow("gpu.yml")


def step(workflow: dict[str, Any], name: str) -> dict[str, Any]:
    """Return one step of the job."""
    return step_of(workflow, "bench", name)


def run(step: dict[str, Any], folder: Path, **variables: str) -> None:
    """Run a step that must not fail."""
    done = run_step(step, folder, **variables)
    assert done.returncode == 0, done.stderr


def measured_with(workflow: dict[str, Any], folder: Path, parts: str) -> Any:
    """Run the step that measures; return what the bench's own command line makes of the call."""
    write_program(folder / ".envs" / "build" / "bin" / "python", RECORDER)
    run(step(workflow, "Measure"), folder, PARTS=parts, MINUTES="45")
    called = json.loads((folder / "called.jsonl").read_text(encoding="utf-8"))
    assert called[:2] == ["-m", "bench.gpu"]
    return parser().parse_args(called[2:])


def test_all_parts_are_measured_unless_some_are_named(workflow: dict[str, Any], tmp_path: Path) -> None:
    """The environment of the card's lock runs them, and results lie where the later steps look."""
    options = measured_with(workflow, tmp_path, "")
    assert (options.parts, options.minutes, options.device) == (None, 45, "cuda")
    assert options.python == Path(".envs/train-cuda/bin/python")
    kept = step(workflow, "Keep the figures")["with"]["path"].split()
    assert kept[:2] == [str(options.out / FILE), str(options.out / TABLES)]
    assert f"{options.out / TABLES}" in step(workflow, "Show the table")["run"]


def test_chosen_parts_are_measured_and_what_all_stand_on(workflow: dict[str, Any], tmp_path: Path) -> None:
    """What a person types is data to the shell, with its spaces and all."""
    options = measured_with(workflow, tmp_path, "model-1.7b,train-1.7b,$(touch was-run) x")
    assert options.parts == ("model-1.7b", "train-1.7b", "$(touch was-run) x")
    assert not (tmp_path / "was-run").exists()
    wanted = [one.name for one in plan([SMALL, LARGE], "cuda") if is_wanted(one.name, options.parts)]
    assert wanted == ["carried", "card", "model-1.7b", "train-1.7b-trl", "train-1.7b-unsloth"]


@pytest.mark.parametrize("measured", [False, True])
def test_the_summary_has_the_table_or_says_that_there_is_none(
    workflow: dict[str, Any], tmp_path: Path, *, measured: bool
) -> None:
    """Also when measuring failed, so that nobody takes an empty page for a result."""
    if measured:
        (tmp_path / "build" / "measured").mkdir(parents=True)
        (tmp_path / "build" / "measured" / TABLES).write_text("| part |\n", encoding="utf-8")
    summary = tmp_path / "summary.md"
    run(step(workflow, "Show the table"), tmp_path, GITHUB_STEP_SUMMARY=str(summary))
    assert summary.read_text(encoding="utf-8") == ("| part |\n" if measured else "Nothing was measured: see the log.\n")
    assert step(workflow, "Show the table")["if"] == "always()"


def test_the_clock_starts_no_bench_and_the_bench_no_training(workflow: dict[str, Any]) -> None:
    """The weekly run has no inputs: it builds. A bench is a person's choice, and runs alone."""
    assert set(workflow["on"]) == {"workflow_dispatch", "schedule"}
    jobs = workflow["jobs"]
    assert jobs["bench"]["if"].endswith("inputs.what == 'bench'")
    assert jobs["training"]["if"].endswith("inputs.what != 'bench'")
    assert jobs["inference"]["needs"] == "training"
    assert all(job["permissions"] == {"contents": "read"} for job in jobs.values())
