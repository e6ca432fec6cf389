"""The form of a released manifest's components: held before anything looks into them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from pipeline.artifact import Manifest
from pipeline.errors import printable

MAX_DEPTH: Final = 64
"""Levels of nesting of a paper that are read. Ours have about ten; comparing two values takes frames for each."""

_STAGE = re.compile(r"[A-Za-z0-9][\w.-]{0,99}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TABLES: Final = ("outside", "environment", "parameters", "inputs", "fixed", "verdicts")


def check_manifest(stage: str, manifest: Manifest) -> None:
    """Raise ValueError, in words, where a manifest is not one of the stage under whose name it stands."""
    if not _STAGE.fullmatch(stage):
        message = f"{stage[:80]!r} is no name of a stage"
        raise ValueError(message)
    if manifest.stage != stage:
        message = f"stage {stage!r} holds the manifest of {manifest.stage[:80]!r}"
        raise ValueError(message)
    if problem := next(_problems(manifest.components), None):
        message = f"stage {stage!r}: components.{problem}"
        raise ValueError(message)


def _problems(components: Any) -> Iterator[str]:
    for name in _TABLES:
        if type(components.get(name, {})) is not dict:
            yield f"{name} is no table"
    for name, sha256 in components.get("outside", {}).items():
        if not _is_inside(name) or not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
            yield f"outside holds {name[:80]!r}, which is no file with a sha256"
    for stage, several in components.get("verdicts", {}).items():
        if type(several) is not list or any(type(one) is not dict for one in several):
            yield f"verdicts of {stage[:80]!r} are no list of tables"


def _is_inside(name: str) -> bool:
    """Tell whether a name is a path that stays where it is laid, and that a terminal shows as it is."""
    return printable(name) == name and not {"", ".", ".."} & set(name.split("/"))


def check_depth(value: Any) -> None:
    """Raise ValueError for a JSON value that nests deeper than `MAX_DEPTH`."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for one in level for inner in _inner(one)]
        if not level:
            return
    message = f"it nests deeper than {MAX_DEPTH} levels"
    raise ValueError(message)


def _inner(value: Any) -> list[Any]:
    found = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [one for one in found if isinstance(one, (dict, list))]
