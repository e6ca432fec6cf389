"""What the finished build of the seedling holds: inputs for programs that are measured."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from bench.table import REPOSITORY
from pipeline.loading import load_recipe
from pipeline.runs import read_state
from pipeline.stages.stage import Stage
from pipeline.store import Store

BUILD = REPOSITORY / "build"


def inputs_of(stage: Stage, build: Path = BUILD, *, made: Collection[str] = ()) -> dict[str, Path]:
    """Return the folders of a stage's inputs, by name, but for those of stages that the bench has `made` itself.

    Raises FileNotFoundError where the seedling was not built.
    """
    keys, store = read_state(build, load_recipe("seedling").name)["stages"], Store(build / "store")
    inputs = {}
    for name, wanted in stage.inputs.items():
        if wanted.stage in made:
            continue
        manifest = store.manifest(keys.get(wanted.stage, ""))
        if manifest is None:
            raise FileNotFoundError(f"the seedling's {wanted.stage} is not in {build.name}: run `nox -s pipeline`")
        inputs[name] = store.folder(manifest)
    return inputs
