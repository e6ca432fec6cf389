"""Pure planning: a recipe and the pins give the stages, their order and their keys. Nothing runs here."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.artifact import Manifest
from pipeline.digest import digest_json
from pipeline.errors import UsageError
from pipeline.stages.stage import Stage

_SHOWN_CHARS = 40
"""Longest value shown whole in a difference; of a digest the beginning is enough."""
_ASKED_FOR: Mapping[str, str] = {
    "judge": "a table [judge]",
    "imatrix": "quantize.imatrix = true",
    "imatrix-text": "quantize.imatrix = true",
    "fetch-scorer": "a table [evaluate.bertscore]",
    "fetch-neutral": "the key evaluate.neutral",
    "fetch-questions": "the key evaluate.unanswerable",
    "train-again": "train.repeat = true",
}
"""Stage that not every recipe has → what makes a recipe have it."""


@dataclass(frozen=True)
class Pins:
    """What is fixed from outside the recipe.

    `environments`: name → identity (interpreter, packages, native files); `code`: stage name → file →
    sha256; `outside`: stage name → name → sha256 of the user's files; `vendor`: identity of the
    llama.cpp tree; `fixed`: environment variables that fix numerics; `tools`: versions for a reader.
    """

    environments: Mapping[str, Mapping[str, str]]
    code: Mapping[str, Mapping[str, str]]
    outside: Mapping[str, Mapping[str, str]]
    vendor: Mapping[str, str]
    fixed: Mapping[str, str]
    tools: Mapping[str, str]


class Plan:
    """The stages of one recipe, in an order in which each comes after its inputs."""

    def __init__(self, stages: Iterable[Stage]) -> None:
        self.stages = _ordered({stage.name: stage for stage in stages})

    def __getitem__(self, name: str) -> Stage:
        return self.stages[name]

    @property
    def families(self) -> list[str]:
        """Names that `--to` takes, in order."""
        return list(dict.fromkeys(stage.family for stage in self.stages.values()))

    def up_to(self, target: str | None) -> list[Stage]:
        """Return the stages needed for a family or one stage (None: all), in order. Raises UsageError."""
        if target is None:
            return list(self.stages.values())
        needed: set[str] = set()
        todo = self.named(target)
        while todo:
            name = todo.pop()
            if name not in needed:
                needed.add(name)
                todo += self.stages[name].dependencies
        return [stage for name, stage in self.stages.items() if name in needed]

    def named(self, target: str) -> list[str]:
        """Return the names of a family's stages, or of one stage. Raises UsageError with the nearest name."""
        found = [stage.name for stage in self.stages.values() if target in (stage.name, stage.family)]
        if not found:
            near = difflib.get_close_matches(target, [*self.families, *self.stages], n=1)
            hint = f"did you mean {near[0]}?" if near else f"one of: {', '.join(self.families)}"
            if target in _ASKED_FOR:
                hint = f"a recipe has it with {_ASKED_FOR[target]} (docs/recipes.md)"
            raise UsageError("there is no such stage in this recipe", where=target, advice=hint)
        return found


def _ordered(stages: dict[str, Stage]) -> dict[str, Stage]:
    """Sort by dependency, otherwise by the order given. A cycle or a missing stage is a mistake in a stage module."""
    ordered: dict[str, Stage] = {}
    waiting = dict(stages)
    while waiting:
        ready = [n for n, s in waiting.items() if all(name in ordered for name in s.dependencies)]
        if not ready:
            message = f"stages that wait for each other or for an unknown stage: {sorted(waiting)}"
            raise ValueError(message)
        ordered[ready[0]] = waiting.pop(ready[0])
    return ordered


def input_digests(stage: Stage, manifests: Mapping[str, Manifest]) -> dict[str, dict[str, str]]:
    """Return, for each input, the sha256 of each file that the stage may read.

    Files count, manifests do not: an input rebuilt to the same bytes stops the rebuild here.
    """
    return {
        name: {entry.path: entry.sha256 for entry in manifests[item.stage].select(item.files)}
        for name, item in sorted(stage.inputs.items())
    }


def components(
    stage: Stage, manifests: Mapping[str, Manifest], pins: Pins, verdicts: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return everything that decides a stage's bytes, as JSON. `verdicts` counts where a stage reads them."""
    found: dict[str, Any] = {
        "stage": stage.name,
        "version": stage.version,
        "parameters": dict(stage.parameters),
        "inputs": input_digests(stage, manifests),
        "outside": dict(pins.outside.get(stage.name, {})),
        "code": dict(pins.code.get(stage.name, {})),
    }
    if stage.environment != "host":
        found["environment"] = dict(pins.environments[stage.environment])
        found["fixed"] = dict(pins.fixed)
    if stage.vendored:
        found["vendor"] = dict(pins.vendor)
    if stage.reads_verdicts:
        found["verdicts"] = verdicts or {}
    return found


def key_of(parts: Mapping[str, Any]) -> str:
    """Return the key: the sha256 of the components' canonical JSON."""
    return digest_json(parts)


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Return the leaves in which two sets of components differ, as `path: old → new`."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        found: list[str] = []
        for name in sorted({*old, *new}):
            where = f"{path}.{name}" if path else str(name)
            if name not in old:
                found.append(f"{where}: added ({_short(new[name])})")
            elif name not in new:
                found.append(f"{where}: removed (was {_short(old[name])})")
            else:
                found += differences(old[name], new[name], where)
        return found
    return [] if old == new else [f"{path}: {_short(old)} → {_short(new)}"]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:16]}…"
