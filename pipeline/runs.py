"""Runs and their records: what was asked, which keys came out, how long it took.

build/runs/<id>/record.json, log.jsonl     one run
build/<recipe>/state.json                  the last build of each stage, and the last release
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.errors import RecipeError, StoreError, UsageError
from pipeline.files import explained, json_bytes, locked, write_json_atomic
from pipeline.outcome import Outcome

_RESERVED = {"store", "runs", "unchanged", "diagnosis", "comparisons", "cache", "reproductions"}
"""Folders of the build folder that are no recipe's."""


def new_run_id() -> str:
    """Return a run's name: the time (UTC, to the millisecond, so that names sort by it) and a chance number.

    Not the process: containers that share a store have equal numbers, and one process may start several runs.
    """
    now = datetime.now(UTC)
    return f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03d}Z-{secrets.token_hex(3)}"


def state_file(build: Path, recipe: str) -> Path:
    """Return where the last keys of a recipe are kept."""
    return build / recipe / "state.json"


def read_state(build: Path, recipe: str, *, strict: bool = False) -> dict[str, Any]:
    """Return the last keys of a recipe: `stages` (latest build of each) and `released`; empty at first.

    One that is there and cannot be read counts as empty too, unless `strict`: then it is a StoreError.
    """
    path = state_file(build, recipe)
    try:
        return _checked(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return {"stages": {}, "released": {}}
    except (OSError, ValueError, RecursionError) as error:
        if strict:
            message = f"what the last build of {recipe!r} needs cannot be read: {error}"
            raise StoreError(
                message, where=str(path), advice="run the recipe again: that writes the file anew"
            ) from error
        return {"stages": {}, "released": {}}


_KEY = re.compile(r"[\w-]+")


def _checked(found: Any) -> dict[str, Any]:
    """Return a state, if it has the form of one. Raises ValueError: a key is a name of a file, never a path.

    What is in it beyond its form is written again, so a state that could not be (NaN, half a surrogate pair) is none.
    """
    state = found if isinstance(found, dict) else {}
    keys = [state.get(name) for name in ("stages", "released")]
    sound = all(isinstance(one, dict) and all(_is_key(key) for key in one.values()) for one in keys)
    if not sound or type(state.get("changed", {})) is not dict or type(state.get("file", "")) is not str:
        message = "it has not the form of a state"
        raise ValueError(message)
    json_bytes(state)
    return state


def _is_key(key: Any) -> bool:
    return isinstance(key, str) and _KEY.fullmatch(key) is not None


def claim(build: Path, recipe: str, file: Path) -> None:
    """Remember which recipe file a name belongs to. Raises RecipeError when it belongs to another that is still there.

    Both would write their links to one folder, each over the other's.
    """
    if recipe in _RESERVED:
        message = f"a recipe cannot be called {recipe!r}: the build folder keeps something else under that name"
        raise RecipeError(message, where=str(file), advice="change `name`")
    with explained(build), locked(build / recipe / ".state.lock", waiting=lambda: True):
        try:
            state = read_state(build, recipe, strict=True)
        except StoreError:  # what it says is not lost before a run has made it anew
            return
        owner = Path(state.get("file", file))
        if owner != file and owner.is_file() and owner.read_bytes() != file.read_bytes():
            message = f"the name {recipe!r} belongs to another recipe in this build folder"
            raise RecipeError(
                message, where=str(owner), advice="change `name` in one of them, or build with --build DIR"
            )
        if state.get("file") != str(file):
            write_json_atomic(state_file(build, recipe), {**state, "file": str(file)})


def write_state(build: Path, recipe: str, outcomes: Mapping[str, Outcome], *, released: bool) -> None:
    """Remember the keys of a run's stages; `released` also names them as the last release."""
    with explained(build), locked(build / recipe / ".state.lock", waiting=lambda: True):
        before = read_state(build, recipe)
        state = _with_outcomes(json.loads(json.dumps(before)), outcomes, released=released)
        if state != before or not state_file(build, recipe).exists():  # the quick path of other runs watches this file
            write_json_atomic(state_file(build, recipe), state)


def _with_outcomes(state: dict[str, Any], outcomes: Mapping[str, Outcome], *, released: bool) -> dict[str, Any]:
    keys = {name: outcome.manifest.key for name, outcome in outcomes.items()}
    reasons = {name: list(outcome.changed) for name, outcome in outcomes.items() if outcome.status == "built"}
    state["stages"] = {**state["stages"], **keys}
    state["changed"] = {**state.get("changed", {}), **reasons}
    if released:
        state["released"] = keys
        state["stages"] = keys
    return state


def write_record(folder: Path, record: Mapping[str, Any], outcomes: Mapping[str, Outcome]) -> None:
    """Write a run's record: facts about the run, and for each stage its key, status and times."""
    stages = {
        name: {
            "key": outcome.manifest.key,
            "status": outcome.status,
            "wall_s": round(outcome.wall_s, 4),
            "work_s": outcome.work_s,
            "gates_s": round(outcome.gates_s, 4),
            "changed": list(outcome.changed),
        }
        for name, outcome in outcomes.items()
    }
    with explained(folder):
        write_json_atomic(folder / "record.json", {**record, "stages": stages})


def keys_to_keep(build: Path, runs: list[str]) -> set[str]:
    """Return the keys that the last run and release of each recipe need, and those of the named runs.

    What a run built that was killed is kept too: nothing else names it, and the next run goes on from it.
    Raises StoreError where it cannot be read what a recipe needs.
    """
    keep = _built_by_killed_runs(build)
    for path in sorted(build.glob("*/state.json")):
        state = read_state(build, path.parent.name, strict=True)
        keep |= {*state["stages"].values(), *state["released"].values()}
    return keep.union(*(run_keys(build, run).values() for run in runs))


def run_keys(build: Path, run: str) -> dict[str, str]:
    """Return the key of each stage of a run. Raises UsageError, with the latest runs, where there is no such run."""
    record = build / "runs" / run / "record.json"
    try:
        found = {name: stage["key"] for name, stage in json.loads(record.read_bytes())["stages"].items()}
        if not all(map(_is_key, found.values())):
            message = "a key is no name of a file"
            raise ValueError(message)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        known = ", ".join(sorted(path.parent.name for path in build.glob("runs/*/record.json"))[-5:])
        message = f"there is no run {run!r}"
        raise UsageError(message, where=str(record), advice=f"the latest runs are: {known or 'none'}") from error
    return found


def _built_by_killed_runs(build: Path) -> set[str]:
    """Return the keys whose build record names a run without a record of its own."""
    found = set()
    for path in (build / "store" / "records").glob("*.json"):
        try:
            run = str(json.loads(path.read_bytes())["run"])
            if "/" in run or "\0" in run:
                continue
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
        folder = build / "runs" / run
        if folder.is_dir() and not (folder / "record.json").exists():
            found.add(path.stem)
    return found
