"""The finished seedling in `build/`: what is taken over from it, where nothing may be trained."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from pipeline.runs import read_state
from pipeline.store import Store
from tests.faults.workshop import NoSeedlingError, seedling_stages

TRAINED: Final = ("fetch-base", "train")
"""The stages that take minutes."""


def finished_build() -> Path:
    """Return the build folder of a finished seedling. Raises NoSeedlingError."""
    stages = seedling_stages()
    if stages is None:
        message = "there is no finished seedling: python -m pipeline run"
        raise NoSeedlingError(message)
    return stages.parents[1]


def take_over(source: Path, target: Path, stages: tuple[str, ...] = TRAINED, recipe: str = "seedling") -> None:
    """Publish copies of a recipe's artifacts in the store of another build folder."""
    keys = read_state(source, recipe)["stages"]
    old, new = Store(source / "store"), Store(target / "store", "taken-over")
    with new.opened():
        for stage in stages:
            manifest = old.manifest(keys[stage])
            if manifest is None:
                message = f"the {recipe}'s {stage} is gone: python -m pipeline run"
                raise NoSeedlingError(message)
            output = new.workspace(stage) / "output"
            shutil.copytree(old.folder(manifest), output)
            new.publish(manifest, output, old.record(manifest.key))
