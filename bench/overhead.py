"""Orchestration: what a run takes beyond the stages' own work, from the record of a run that built them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bench.noop import HOST_PYTHON
from bench.table import REPOSITORY, Table, seconds

CHECKS: Final = ("preflight", "verify-", "compare", "evaluate")
"""How the names of stages begin that make nothing and only check."""


def measure(build: Path = REPOSITORY / "build") -> Table:
    """Return the table of the latest run that built at least ten stages.

    A stage's overhead is its wall time (look-up, start of the interpreter, run, gates, hashing,
    publishing) minus the seconds that its program and its gates worked. Raises FileNotFoundError without a run.
    """
    run, stages = _latest_built(build)
    start = statistics.median(seconds([HOST_PYTHON, "-c", "pass"], REPOSITORY) for _ in range(5))
    rows = [
        (
            name,
            f"{stage['wall_s']:.2f}",
            f"{stage['work_s']:.2f}",
            f"{1000 * stage['gates_s']:,.0f}",
            f"{1000 * (stage['wall_s'] - stage['work_s'] - stage['gates_s']):,.0f}",
        )
        for name, stage in stages.items()
        if stage["status"] == "built" and stage["work_s"]
    ]
    note = (
        f"Run {run}. An interpreter starts in {1000 * start:.0f} ms, which is part of each stage's overhead."
        f" Over the whole run: {1000 * beside_work(stages):.0f} ms a stage, gates included."
        f" What only checks (preflight, verify-*, compare, evaluate, all gates) is {100 * checking(stages):.0f} % of"
        " the work."
    )
    return Table("Orchestration", note, ("stage", "wall s", "own work s", "gates ms", "overhead ms"), tuple(rows))


def beside_work(stages: Mapping[str, Mapping[str, Any]]) -> float:
    """Return the seconds a built stage took beside its own work: start, gates, hashing, publishing; the mean."""
    built = [stage for stage in stages.values() if stage["status"] == "built"]
    return sum(float(stage["wall_s"] - stage["work_s"]) for stage in built) / len(built)


def checking(stages: Mapping[str, Mapping[str, Any]]) -> float:
    """Return the share of all stages' wall time that is spent on checks: whole stages that only check, and gates."""
    built = {name: stage for name, stage in stages.items() if stage["status"] == "built"}
    checks = sum(stage["wall_s"] if name.startswith(CHECKS) else stage["gates_s"] for name, stage in built.items())
    return float(checks / sum(stage["wall_s"] for stage in built.values()))


def _latest_built(build: Path) -> tuple[str, dict[str, Any]]:
    for record in sorted(build.glob("runs/*/record.json"), reverse=True):
        stages: dict[str, Any] = json.loads(record.read_bytes())["stages"]
        if sum(stage["status"] == "built" for stage in stages.values()) >= 10:  # noqa: PLR2004 - most of a run
            return record.parent.name, stages
    message = f"no run in {build} built ten stages or more: remove build/ and run the pipeline first"
    raise FileNotFoundError(message)
