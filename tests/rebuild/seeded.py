"""A store that holds a finished build but for some stages: what a short rebuild starts from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from pipeline.artifact import Manifest
from pipeline.runs import read_state
from pipeline.store import Store

REBUILT = ("fetch-data", "prepare", "convert", "quantize")
"""Families that a short rebuild makes anew: data and GGUF files. The trained model is taken over."""
LAST = "quantize"


class NoBuildError(Exception):
    """There is no finished build to take the trained model from."""


def seed(build: Path, recipe: str, target: Path, left_out: Iterable[str] = REBUILT) -> list[str]:
    """Copy a build's store to `target` without the stages that are to be made; return the names of those.

    Raises NoBuildError.
    """
    source, into = Store((build / "store").absolute()), target / "store"
    kept: dict[str, str] = {}
    made = []
    for stage, key in read_state(build, recipe)["stages"].items():
        manifest = source.manifest(key)
        if manifest is None or source.damage(manifest):
            message = f"{stage} of {recipe} is not whole in {build}: run `nox -s pipeline` first"
            raise NoBuildError(message)
        if stage.startswith(tuple(left_out)):
            made.append(stage)
        elif stage not in ("report", "release"):
            _copy(source, manifest, into)
            kept[stage] = key
    if not kept or not made:
        message = f"there is no finished build of {recipe} in {build}: run `nox -s pipeline` first"
        raise NoBuildError(message)
    (target / recipe).mkdir(parents=True)
    (target / recipe / "state.json").write_text(json.dumps({"stages": kept, "released": {}}), encoding="utf-8")
    return made


def _copy(source: Store, manifest: Manifest, into: Path) -> None:
    """Copy one artifact with its record; never by links: stores would share the times by which files are trusted."""
    shutil.copytree(source.folder(manifest), into / "contents" / manifest.content, dirs_exist_ok=True)
    for path in (source.manifest_path(manifest.key), source.root / "records" / f"{manifest.key}.json"):
        if path.is_file():
            (into / path.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, into / path.parent.name / path.name)
