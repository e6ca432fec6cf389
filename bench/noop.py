"""An unchanged run: ours beside make, doit, DVC and Snakemake on an equal graph of 12 stages that do nothing.

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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.table import REPOSITORY, Table, seconds, summary_ms

STAGES = {
    "fetch": (),
    "prepare": ("fetch",),
    "preflight": ("prepare",),
    "train": ("prepare", "preflight"),
    "verify-hf": ("train",),
    "merge": ("train",),
    "verify-merged": ("merge",),
    "convert": ("merge",),
    "verify-f16": ("convert",),
    "quantize": ("convert",),
    "verify-quant": ("quantize",),
    "compare": ("verify-hf", "verify-merged", "verify-f16", "verify-quant"),
}
"""Stage → the stages that it needs: the shape of the main job, 12 stages."""

BENCH_BIN = REPOSITORY / ".envs" / "bench" / "bin"
HOST_PYTHON = REPOSITORY / ".envs" / "host" / "bin" / "python"


@dataclass(frozen=True)
class Tool:
    """One tool: what it is called with, and what writes its graph into an empty folder."""

    name: str
    command: tuple[str, ...]
    write: Callable[[Path], None]


def shell(stage: str) -> str:
    """Return the shell command that stands for a stage's work."""
    return f"cat {' '.join(f'out/{need}' for need in STAGES[stage]) or '/dev/null'} > out/{stage}"


def write_make(folder: Path) -> None:
    """Write a Makefile."""
    rules = [
        f"out/{name}: {' '.join(f'out/{need}' for need in needs)}\n\t{shell(name)}\n" for name, needs in STAGES.items()
    ]
    (folder / "Makefile").write_text("all: out/compare\n" + "\n".join(rules))


def write_doit(folder: Path) -> None:
    """Write a dodo.py."""
    tasks = [
        {
            "name": name,
            "actions": [shell(name)],
            "targets": [f"out/{name}"],
            "file_dep": [f"out/{need}" for need in needs],
        }
        for name, needs in STAGES.items()
    ]
    (folder / "dodo.py").write_text(f"def task_stage():\n    yield from {tasks!r}\n")


def write_dvc(folder: Path) -> None:
    """Write a dvc.yaml in an initialised repository without git."""
    subprocess.run([BENCH_BIN / "dvc", "init", "--no-scm", "-q"], cwd=folder, check=True, capture_output=True)
    subprocess.run(
        [BENCH_BIN / "dvc", "config", "core.analytics", "false"], cwd=folder, check=True, capture_output=True
    )
    stages = {
        name: {"cmd": shell(name), "deps": [f"out/{need}" for need in needs], "outs": [f"out/{name}"]}
        for name, needs in STAGES.items()
    }
    (folder / "dvc.yaml").write_text(json.dumps({"stages": stages}))  # JSON is YAML


def write_snakemake(folder: Path) -> None:
    """Write a Snakefile."""
    rules = []
    for name, needs in STAGES.items():
        inputs = [f"out/{need}" for need in needs]
        head = f"rule {name.replace('-', '_')}:\n    input: {inputs!r}\n"
        rules.append(f"{head}    output: 'out/{name}'\n    shell: {shell(name)!r}\n")
    (folder / "Snakefile").write_text("rule all:\n    input: 'out/compare'\n" + "\n".join(rules))


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
    with tempfile.TemporaryDirectory() as name:
        calls = {label: (command, REPOSITORY) for label, command in ours.items()}
        for tool in TOOLS:
            folder = Path(name, str(len(calls)))
            (folder / "out").mkdir(parents=True)
            tool.write(folder)
            calls[tool.name] = (tool.command, folder)
        times = _in_turns(calls, rounds)
    rows = tuple((label, *summary_ms(found)) for label, found in times.items())
    note = (
        f"Nothing to do; 12 stages, ours all of the seedling's. {rounds} rounds, {os.cpu_count()} cores. Milliseconds."
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
