"""One of the two runs that are compared: what it built, what is still there, and why the rest is not."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifact import Manifest
from pipeline.differing.places import in_order
from pipeline.errors import UsageError
from pipeline.loading import load_recipe
from pipeline.report.artifacts import Artifacts
from pipeline.runs import read_state
from pipeline.store import Store

_LATEST = 5
"""How many runs an error names."""
GONE = "built, and collected since (`gc`)"
NOT_BUILT = "not built"


@dataclass(frozen=True)
class Side:
    """A run, or the last build of a recipe.

    `run` is empty for a last build, which may come of several runs. `missing` names stages whose result is not there,
    each with the reason, `records` what was measured when a stage was built.
    """

    name: str
    recipe: str
    run: str
    status: str
    problem: str
    manifests: Mapping[str, Manifest]
    missing: Mapping[str, str]
    records: Mapping[str, Mapping[str, Any]]
    files: Artifacts

    @property
    def shows_rows(self) -> bool:
        """Whether its recipe lets data rows be shown. Of a run that made no report nobody knows: no."""
        report = self.manifests.get("report")
        return report is not None and bool(report.components["parameters"].get("show_data_rows", False))

    def to_json(self) -> dict[str, Any]:
        """Return what a reader has to know of it."""
        return {
            "name": self.name,
            "recipe": self.recipe,
            "run": self.run,
            "status": self.status,
            "problem": self.problem,
            "stages": list(self.manifests),
            "missing": dict(self.missing),
        }


def find_side(build: Path, name: str) -> Side:
    """Return a run by its name, or the last build of a recipe by its name or file.

    Raises UsageError with the nearest names, StoreError where a build's state cannot be read, RecipeError for a
    recipe file that is wrong.
    """
    store = Store((build / "store").absolute(), "reader")
    name = _named(build, name)
    record = _record(build, name)
    if record is not None:
        keys = {stage: str(built["key"]) for stage, built in record["stages"].items()}
        return _side(store, name, record, keys)
    recipe = load_recipe(name).name if name.endswith(".toml") else name
    keys = read_state(build, recipe, strict=True)["stages"] if "/" not in recipe else {}
    if not keys:
        raise _unknown(build, name)
    return _side(store, name, {"recipe": recipe, "run": "", "status": "last build"}, keys)


def _named(build: Path, name: str) -> str:
    """Return the name of a run or a recipe whose folder was given, as a shell completes it; else what was given."""
    folder = Path(name).absolute()
    return folder.name if "/" in name and folder.parent in (build.absolute(), build.absolute() / "runs") else name


def _record(build: Path, run: str) -> dict[str, Any] | None:
    """Return a run's record; None where there is no run of this name, or one that has not ended."""
    if "/" in run or run in ("", ".", ".."):
        return None
    try:
        found: dict[str, Any] = json.loads((build / "runs" / run / "record.json").read_bytes())
    except (OSError, ValueError):
        return None
    return found


def _side(store: Store, name: str, record: Mapping[str, Any], keys: Mapping[str, str]) -> Side:
    found = {stage: store.manifest(key) for stage, key in keys.items()}
    manifests = {stage: found[stage] for stage in in_order(found)}
    there = {stage: manifest for stage, manifest in manifests.items() if manifest is not None}
    folders = {stage: store.folder(manifest) for stage, manifest in there.items()}
    missing = {stage: GONE for stage, manifest in manifests.items() if manifest is None or not folders[stage].is_dir()}
    return Side(
        name=name,
        recipe=str(record["recipe"]),
        run=str(record["run"]),
        status=str(record["status"]),
        problem="; ".join(str(record.get("problem", "")).splitlines()[:2]) or _failed(there),
        manifests=there,
        missing=missing,
        records={stage: store.record(manifest.key) for stage, manifest in there.items()},
        files=Artifacts({stage: folder for stage, folder in folders.items() if stage not in missing}),
    )


def _failed(manifests: Mapping[str, Manifest]) -> str:
    """Return which gates failed: of a last build nothing else says that it stopped there."""
    found = [
        f"{stage}: gate {verdict['gate']} failed"
        for stage, manifest in manifests.items()
        for verdict in manifest.gates
        if verdict["outcome"] == "failed"
    ]
    return "; ".join(found)


def _unknown(build: Path, name: str) -> UsageError:
    runs = sorted(path.parent.name for path in build.glob("runs/*/record.json"))
    recipes = sorted(path.parent.name for path in build.glob("*/state.json"))
    near = difflib.get_close_matches(name, [*recipes, *runs], n=1, cutoff=0.8)
    known = f"the latest runs are: {', '.join(runs[-_LATEST:]) or 'none'}; recipes: {', '.join(recipes) or 'none'}"
    advice = f"did you mean {near[0]}? {known}" if near else known
    return UsageError(f"there is no run and no built recipe {name!r}", where=str(build), advice=advice)
