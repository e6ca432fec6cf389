"""What a person names on the command line: files, folders, a stage of a run, a whole run."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.runs import read_state, run_keys
from pipeline.stages.registry import MODULES
from pipeline.store import Store

ALONE = ""
"""Name of the one part of a place that has no stages."""


@dataclass(frozen=True)
class Place:
    """One side of a comparison: part → its files by their paths inside; a part is a stage, or `ALONE`.

    `components` holds, for stages, what their keys are made of.
    """

    name: str
    parts: Mapping[str, Mapping[str, Path]]
    components: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def find_places(first: str, second: str, build: Path) -> tuple[Place, Place]:
    """Return both sides. Raises UsageError for what is not there, or cannot be held against each other."""
    here, there = find_place(first, build), find_place(second, build)
    if all(Path(name).is_file() for name in (first, second)):  # two files are compared whatever they are called
        (file,) = there.parts[ALONE].values()
        (name,) = here.parts[ALONE]
        return here, Place(second, {ALONE: {name: file}})
    if (ALONE in here.parts) != (ALONE in there.parts) or Path(first).is_file() != Path(second).is_file():
        message = "these two cannot be held against each other"
        advice = "name two files, two folders, two stages (RUN/STAGE), or two runs"
        raise UsageError(message, where=f"{first}, {second}", advice=advice)
    return here, there


def find_place(name: str, build: Path) -> Place:
    """Return what a name stands for: a path first, then `RUN` or `RUN/STAGE`, where RUN may be a recipe's last build.

    Raises UsageError.
    """
    path = Path(name)
    if path.is_file():
        return Place(name, {ALONE: {path.name: path}})
    if path.is_dir():
        return Place(name, {ALONE: files_below(path)})
    run, _, stage = name.partition("/")
    keys = _keys(run, build, name)
    store = Store((build / "store").absolute())
    if stage and stage not in keys:
        message = f"{run} has no stage {stage!r}"
        raise UsageError(message, where=name, advice=f"its stages are: {', '.join(in_order(keys))}")
    manifests = {one: store.manifest(keys[one]) for one in in_order(keys) if stage in ("", one)}
    there = {one: manifest for one, manifest in manifests.items() if manifest is not None}
    if not there:
        message = f"nothing of {name!r} is in the store any more"
        raise UsageError(message, where=str(store.root), advice="build it again")
    return Place(
        name,
        {
            ALONE if stage else one: {entry.path: store.folder(manifest) / entry.path for entry in manifest.files}
            for one, manifest in there.items()
        },
        {ALONE if stage else one: manifest.components for one, manifest in there.items()},
    )


def _keys(run: str, build: Path, name: str) -> dict[str, str]:
    keys: dict[str, str] = read_state(build, run)["stages"] if run else {}
    if keys:
        return keys
    try:
        return run_keys(build, run)
    except UsageError as error:
        recipes = sorted(path.parent.name for path in build.glob("*/state.json"))
        runs = (path.parent.name for path in build.glob("runs/*/record.json"))
        near = difflib.get_close_matches(run, [*recipes, *runs], n=1, cutoff=0.8)
        hint = f"did you mean {near[0]}? " if near else ""
        advice = f"{hint}{error.advice}; recipes: {', '.join(recipes) or 'none'}"
        message = f"there is no file, folder, recipe or run {name!r}"
        raise UsageError(message, where=str(build), advice=advice) from error


def files_below(folder: Path) -> dict[str, Path]:
    """Return the files below a folder, by their paths in it; links to files count, linked folders do not."""
    found: dict[str, Path] = {}
    for parent, folders, names in os.walk(folder):
        folders.sort()
        paths = (Path(parent) / name for name in names)
        found |= {path.relative_to(folder).as_posix(): path for path in paths if path.is_file()}
    return dict(sorted(found.items()))


def in_order(stages: Mapping[str, Any]) -> list[str]:
    """Return stages in the order of the work."""
    families = [module.__name__.rpartition(".")[2].replace("_", "-") for module in MODULES]

    def place(stage: str) -> tuple[int, str]:
        return max((len(name), at) for at, name in enumerate(families) if stage.startswith(name))[1], stage

    known = [stage for stage in stages if stage.startswith(tuple(families))]
    return [*sorted(known, key=place), *sorted(set(stages) - set(known))]
