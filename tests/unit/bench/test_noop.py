"""The bench of an unchanged run: the others' graph is ours."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from bench.noop import seedling_graph, write_doit, write_make, write_snakemake
from pipeline.loading import load_recipe
from pipeline.plan import Plan
from pipeline.stages.registry import stages_of


def test_the_graph_is_that_of_the_main_job() -> None:
    """As many stages, and each waits for the same ones."""
    plan = Plan(stages_of(load_recipe("seedling")))
    graph = seedling_graph()
    assert list(graph) == list(plan.stages)
    assert {name for name in graph if "train" in graph[name]} == {
        name for name, stage in plan.stages.items() if "train" in stage.dependencies
    }
    assert set(graph["train"]) >= {"prepare", "preflight"}


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_builds_every_stage_after_what_it_needs_and_then_nothing(tmp_path: Path) -> None:
    """What is timed is really a look at all stages that finds nothing to do."""
    graph = seedling_graph()
    (tmp_path / "out").mkdir()
    write_make(tmp_path, graph)
    subprocess.run(["make"], cwd=tmp_path, check=True, capture_output=True)
    times = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in graph}
    assert all(times[need] <= times[name] for name, needs in graph.items() for need in needs)
    assert "Nothing to be done for 'all'" in _make(tmp_path)
    os.utime(tmp_path / "out" / "train", (time.time() + 10, time.time() + 10))
    assert "out/merge" in _make(tmp_path)


def _make(folder: Path) -> str:
    variables = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(
        ["make"], cwd=folder, env=variables, check=True, capture_output=True, text=True
    ).stdout.replace("`", "'")


def test_doit_gets_the_whole_graph(tmp_path: Path) -> None:
    """Each stage is a task that reads the files of those it needs."""
    graph = seedling_graph()
    write_doit(tmp_path, graph)
    tasks = list(runpy.run_path(str(tmp_path / "dodo.py"))["task_stage"]())
    assert {task["name"]: task["file_dep"] for task in tasks} == {
        name: [f"out/{need}" for need in needs] for name, needs in graph.items()
    }
    assert [task["targets"] for task in tasks] == [[f"out/{name}"] for name in graph]


def test_snakemake_is_asked_for_every_stage(tmp_path: Path) -> None:
    """A stage that nothing reads would otherwise not be looked at."""
    graph = seedling_graph()
    write_snakemake(tmp_path, graph)
    text = (tmp_path / "Snakefile").read_text()
    first = text.partition("\nrule ")[0]
    assert all(f"'out/{name}'" in first for name in graph)
    assert text.count("\nrule ") == len(graph)
