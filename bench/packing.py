"""Packed rows beside padded ones: the seedling's own training, its first epoch, in turns."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from bench.table import REPOSITORY, Table
from pipeline.determinism import fixed_variables
from pipeline.environments import ensure
from pipeline.loading import load_recipe
from pipeline.runs import read_state
from pipeline.stages.train import stages as training_stages
from pipeline.store import Store

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


def of_the_seedling(build: Path = REPOSITORY / "build") -> tuple[dict[str, Any], dict[str, Path]]:
    """Return parameters and inputs of the seedling's training, from its finished build.

    Raises FileNotFoundError where the seedling was not built.
    """
    recipe = load_recipe("seedling")
    stage = training_stages(recipe)[0]
    keys, store = read_state(build, recipe.name)["stages"], Store(build / "store")
    inputs = {}
    for name, wanted in stage.inputs.items():
        manifest = store.manifest(keys.get(wanted.stage, ""))
        if manifest is None:
            raise FileNotFoundError(f"the seedling's {wanted.stage} is not in {build.name}: run `nox -s pipeline`")
        inputs[name] = store.folder(manifest)
    return dict(stage.parameters), inputs


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
