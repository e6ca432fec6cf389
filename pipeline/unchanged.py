"""The quick answer of a run that has nothing to do. Standard library only.

After a complete run the stat signatures of everything that it depended on and made are written
down: recipe, the user's files, code, locks, environments, artifacts, links. While all of them are
the same, a run would only find hits, so it does not look.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import stat as stat_module
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

SETTINGS_NAME = "run.toml"
"""Name of the run settings that are found by themselves."""


def settings_file(named: Path | None, recipe: str) -> Path | None:
    """Return the run settings that a command line means: those named, else `run.toml` here or beside the recipe."""
    if named is not None:
        return named
    found = [Path(SETTINGS_NAME), Path(recipe).with_name(SETTINGS_NAME)] if recipe else []
    return next((path for path in found if path.is_file()), None)


def state_path(options: argparse.Namespace) -> Path:
    """Return where the signatures for one `run` command line are kept.

    The settings file counts by its name here, so that one that comes or goes is seen, and by its
    signature among the others.
    """
    settings = settings_file(options.settings, options.recipe)
    given = (options.recipe, options.to or "", options.executor or "", str(settings or ""))
    identity = "\0".join((str(Path.cwd()), sys.executable, *given))
    build: Path = options.build
    return build / "unchanged" / f"{hashlib.sha256(identity.encode()).hexdigest()[:24]}.json"


def _signature(path: str) -> list[int | str]:
    """Return what changes when a path does: sizes, times and inode; where a link points, and what lies there."""
    stat = os.lstat(path)
    if stat_module.S_ISLNK(stat.st_mode):
        behind = os.stat(path)  # noqa: PTH116 - text in, text out: this path is hot
        return [stat.st_ino, os.readlink(path), *_of(behind)]  # noqa: PTH115
    return _of(stat)


def _of(stat: os.stat_result) -> list[int | str]:
    if stat_module.S_ISDIR(stat.st_mode):
        return [stat.st_ino, stat.st_mtime_ns]
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def signatures(paths: Iterable[Path]) -> dict[str, list[int | str]]:
    """Return the signature of each path. Raises OSError for one that is not there."""
    return {str(path): _signature(str(path)) for path in sorted(set(paths))}


def same_still(known: Mapping[str, list[int | str]]) -> bool:
    """Say whether every path still has the signature that is known of it."""
    try:
        return all(_signature(path) == signature for path, signature in known.items())
    except OSError:
        return False


def summary_if_unchanged(state: Path) -> dict[str, Any] | None:
    """Return what the last complete run said, if nothing that it stands on has changed since."""
    try:
        known = json.loads(state.read_bytes())
        if same_still(known["signatures"]):
            found = known["summary"]
            return found if isinstance(found, dict) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return None
