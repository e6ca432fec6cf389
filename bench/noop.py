"""An unchanged run: ours beside make, doit, DVC and Snakemake on a graph of the same stages, which copy small files.

Every tool builds its graph once and is then timed when nothing is left to do. The calls take turns, so
that a change in the machine's load meets all of them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.table import REPOSITORY, Table, seconds, summary_ms
from pipeline.loading import load_recipe
from pipeline.plan import Plan
from pipeline.stages.registry import stages_of

Graph = Mapping[str, tuple[str, ...]]
"""Stage → the stages that it needs."""

BENCH_BIN = REPOSITORY / ".envs" / "bench" / "bin"
HOST_PYTHON = REPOSITORY / ".envs" / "host" / "bin" / "python"


@dataclass(frozen=True)
class Tool:
    """One tool: what it is called with, and what writes its graph into an empty folder."""

    name: str
    command: tuple[str, ...]
    write: Callable[[Path, Graph], None]


def seedling_graph() -> Graph:
    """Return the stages of the main job with what each of them waits for."""
    plan = Plan(stages_of(load_recipe("seedling")))
    return {name: stage.dependencies for name, stage in plan.stages.items()}


def shell(name: str, needs: tuple[str, ...]) -> str:
    """Return the shell command that stands for a stage's work."""
    return f"cat {' '.join(_files(needs)) or '/dev/null'} > out/{name}"


def _files(names: Iterable[str]) -> list[str]:
    return [f"out/{name}" for name in names]


def write_make(folder: Path, graph: Graph) -> None:
    """Write a Makefile."""
    rules = [f"out/{name}: {' '.join(_files(needs))}\n\t{shell(name, needs)}\n" for name, needs in graph.items()]
    (folder / "Makefile").write_text(f"all: {' '.join(_files(graph))}\n" + "\n".join(rules))


def write_doit(folder: Path, graph: Graph) -> None:
    """Write a dodo.py."""
    tasks = [
        {"name": name, "actions": [shell(name, needs)], "targets": _files([name]), "file_dep": _files(needs)}
        for name, needs in graph.items()
    ]
    (folder / "dodo.py").write_text(f"def task_stage():\n    yield from {tasks!r}\n")


def write_dvc(folder: Path, graph: Graph) -> None:
    """Write a dvc.yaml in an initialised repository without git."""
    subprocess.run([BENCH_BIN / "dvc", "init", "--no-scm", "-q"], cwd=folder, check=True, capture_output=True)
    subprocess.run(
        [BENCH_BIN / "dvc", "config", "core.analytics", "false"], cwd=folder, check=True, capture_output=True
    )
    stages = {
        name: {"cmd": shell(name, needs), "deps": _files(needs), "outs": _files([name])}
        for name, needs in graph.items()
    }
    (folder / "dvc.yaml").write_text(json.dumps({"stages": stages}))  # JSON is YAML


def write_snakemake(folder: Path, graph: Graph) -> None:
    """Write a Snakefile."""
    rules = []
    for name, needs in graph.items():
        head = f"rule {name.replace('-', '_')}:\n    input: {_files(needs)!r}\n"
        rules.append(f"{head}    output: 'out/{name}'\n    shell: {shell(name, needs)!r}\n")
    (folder / "Snakefile").write_text(f"rule all:\n    input: {_files(graph)!r}\n" + "\n".join(rules))


TOOLS = (
    Tool("`make`", ("make",), write_make),
    Tool("doit", (str(BENCH_BIN / "doit"),), write_doit),
    Tool("`dvc repro`", (str(BENCH_BIN / "dvc"), "repro"), write_dvc),
    Tool("Snakemake", (str(BENCH_BIN / "snakemake"), "--cores", "1"), write_snakemake),
)


def measure(rounds: int = 15) -> Table:
    """Return the table; ours is measured on this repository's own `build/`, run once before."""
    ours = {
        "`python -c pass`": (str(HOST_PYTHON), "-c", "pass"),
        "`python -m pipeline run`": (str(HOST_PYTHON), "-m", "pipeline", "run"),
        "`nox -s pipeline`": (sys.executable, "-m", "nox", "-s", "pipeline"),
    }
    graph = seedling_graph()
    with tempfile.TemporaryDirectory() as name:
        calls = {label: (command, REPOSITORY) for label, command in ours.items()}
        for tool in TOOLS:
            folder = Path(name, str(len(calls)))
            (folder / "out").mkdir(parents=True)
            tool.write(folder, graph)
            calls[tool.name] = (tool.command, folder)
        times = _in_turns(calls, rounds)
    rows = tuple((label, *summary_ms(found)) for label, found in times.items())
    note = (
        f"Nothing to do; ours are the seedling's {len(graph)} stages, the others' as many with the same dependencies."
        f" {rounds} rounds, {os.cpu_count()} cores. Milliseconds."
    )
    return Table("An unchanged run", note, ("what", "median", "lowest", "highest"), rows)


def _in_turns(calls: dict[str, tuple[tuple[str, ...], Path]], rounds: int) -> dict[str, list[float]]:
    """Run every call once unmeasured, then `rounds` times in turns."""
    environ = {**os.environ, "NO_COLOR": "1", "DVC_NO_ANALYTICS": "1"}
    for label, (command, folder) in calls.items():
        if shutil.which(command[0]) is None:
            message = f"{label} is not installed: {command[0]}"
            raise FileNotFoundError(message)
        seconds(command, folder, environ)
    found: dict[str, list[float]] = {label: [] for label in calls}
    for _ in range(rounds):
        for label, (command, folder) in calls.items():
            found[label].append(seconds(command, folder, environ))
    return found
