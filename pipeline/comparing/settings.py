"""Which components of the stages' keys differ between two runs, each told once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.comparing.side import NOT_BUILT, Side
from pipeline.plan import differences

KINDS: Mapping[str, str] = {
    "parameters": "recipe",
    "environment": "environment",
    "fixed": "environment",
    "vendor": "llama.cpp",
    "version": "code",
    "code": "code",
    "outside": "the user's files",
}
"""Component of a key → what a reader calls it, in the order told. Inputs follow from the stages before, and verdicts
stand among the gates."""


def settings(first: Side, second: Side) -> dict[str, list[dict[str, Any]]]:
    """Return kind → what differs (`path: old → new`) with the stages in whose keys it counts."""
    found: dict[str, dict[str, list[str]]] = {kind: {} for kind in KINDS.values()}
    for stage in both(first, second):
        old, new = first.manifests[stage].components, second.manifests[stage].components
        for part, kind in KINDS.items():
            for told in differences({part: old.get(part)}, {part: new.get(part)}):
                found[kind].setdefault(told.removeprefix("parameters."), []).append(stage)
    return {
        kind: [{"change": told, "stages": stages} for told, stages in changes.items()]
        for kind, changes in found.items()
        if changes
    }


def stages(first: Side, second: Side) -> dict[str, str]:
    """Return stage → whether its result is the same, and where it is not built, why."""
    names = dict.fromkeys([*first.manifests, *second.manifests, *first.missing, *second.missing])
    return {name: _state(name, first, second) for name in names}


def both(first: Side, second: Side) -> list[str]:
    """Return the stages whose manifests both runs have, in the order of the work."""
    return [stage for stage in first.manifests if stage in second.manifests]


def _state(stage: str, first: Side, second: Side) -> str:
    if stage in first.manifests and stage in second.manifests:
        old, new = first.manifests[stage], second.manifests[stage]
        if old.key == new.key:
            return "the same"
        return "built anew, the same bytes" if old.content == new.content else "different bytes"
    absent = [
        f"{letter}: {side.missing.get(stage, NOT_BUILT)}"
        for letter, side in zip("AB", (first, second), strict=True)
        if stage not in side.manifests
    ]
    return "; ".join(absent)
