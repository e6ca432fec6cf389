"""Packed rows beside padded ones: the seedling's own training, its first epoch, in turns."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from bench.finished import BUILD, inputs_of
from bench.table import REPOSITORY, Table
from pipeline.determinism import fixed_variables
from pipeline.environments import ensure
from pipeline.loading import load_recipe
from pipeline.stages.train import stages as training_stages

BATCHES = (4, 16)
"""Rows of a forward pass: the seedling's, and more."""

Figures = dict[str, float]


def measure(rounds: int = 3) -> Table:
    """Return the table: tokens of rows per second inside the steps, padded and packed, and the ratio."""
    python = ensure("training", lambda *_, **__: None).python
    parameters, inputs = of_the_seedling()
    rows = [_compared(python, parameters, inputs, batch, rounds) for batch in BATCHES]
    note = (
        f"One epoch of the seedling's training rows, {os.cpu_count()} cores, {rounds} rounds in turns; tokens"
        " are those of rows, padding left out."
    )
    return Table("Packed rows", note, ("rows in a pass", "padded tokens/s", "packed tokens/s", "ratio"), tuple(rows))


def of_the_seedling(build: Path = BUILD) -> tuple[dict[str, Any], dict[str, Path]]:
    """Return parameters and inputs of the seedling's training, from its finished build.

    Raises FileNotFoundError where the seedling was not built.
    """
    stage = training_stages(load_recipe("seedling"))[0]
    return dict(stage.parameters), inputs_of(stage, build)


def _compared(
    python: Path, parameters: dict[str, Any], inputs: dict[str, Path], batch: int, rounds: int
) -> tuple[str, ...]:
    found: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(rounds):
        for packing, speeds in found.items():
            table = {**parameters["train"], "batch_size": batch, "epochs": 1.0, "packing": packing}
            speeds.append(trained(python, {**parameters, "train": table}, inputs)["train.tokens-per-second"])
    padded, packed = (statistics.median(speeds) for speeds in found.values())
    return str(batch), f"{padded:,.0f}", f"{packed:,.0f}", f"{packed / padded:.2f}"


def trained(python: Path, parameters: dict[str, Any], inputs: dict[str, Path]) -> Figures:
    """Train as the executor does, in a folder that is thrown away; return what the program measured.

    Raises RuntimeError with the program's last lines.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        request = {
            "program": "train",
            "parameters": parameters,
            "inputs": {key: str(path) for key, path in inputs.items()},
            **{key: str(folder / key) for key in ("output", "scratch")},
            "threads": os.cpu_count(),
        }
        for key in ("output", "scratch"):
            (folder / key).mkdir()
        (folder / "request.json").write_text(json.dumps(request))
        environment = {**os.environ, **fixed_variables("avx2"), "OMP_NUM_THREADS": str(os.cpu_count())}
        command = [str(python), "-m", "pipeline.inside", str(folder / "request.json")]
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    events = [json.loads(line) for line in done.stderr.splitlines() if line.startswith('{"event": "job.measured"')]
    return {event["name"]: event["value"] for event in events}
