"""What every command starts from: a recipe, its plan, its folders and its pins."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.executors.contract import Environments
from pipeline.loading import find_recipe, read_source, recipe_of
from pipeline.log import RunLog, Sink
from pipeline.pins import gather
from pipeline.plan import Pins, Plan
from pipeline.recipe import Recipe
from pipeline.runs import read_state, run_keys
from pipeline.stages.registry import stages_of
from pipeline.stages.stage import Stage
from pipeline.store import Store
from pipeline.vendor import vendor_identity


@dataclass(frozen=True)
class Context:
    """One recipe in one build folder. `source` is what the recipe's file, `path`, held when it was read."""

    recipe: Recipe
    path: Path
    build: Path
    source: bytes

    @classmethod
    def of(cls, options: argparse.Namespace) -> Context:
        """Read what the command line names. Raises RecipeError."""
        path = find_recipe(options.recipe)
        source = read_source(path)
        return cls(recipe_of(source, path, str(options.recipe)), path, options.build, source)

    @cached_property
    def plan(self) -> Plan:
        """The stages of the recipe."""
        return Plan(stages_of(self.recipe))

    @property
    def folder(self) -> Path:
        """Where a person finds the results."""
        return self.build / self.recipe.name

    def store(self, run: str = "reader") -> Store:
        """Return the store that all recipes of this build folder share; absolute, because jobs run in other folders."""
        return Store((self.build / "store").absolute(), run)

    def built_keys(self, run: str | None) -> dict[str, str]:
        """Return the key of each stage of the last build, or of a run. Raises UsageError for an unknown run."""
        if run is not None:
            return run_keys(self.build, run)
        keys: dict[str, str] = read_state(self.build, self.recipe.name)["stages"]
        return keys

    def pins(self, stages: list[Stage], environments: Environments, *, verify: bool = False) -> Pins:
        """Return the pins; makes the environments that are missing or out of date."""
        for name in environment_names(stages):
            environments.prepare(name, thorough=verify)
        return gather(self.recipe, stages, environments.identity, vendor_identity())

    def known_pins(self, stages: list[Stage], environments: Environments) -> Pins:
        """Return the pins of stages whose environments are ready; nothing is made."""
        return gather(self.recipe, stages, environments.identity, vendor_identity())


def environment_names(stages: Iterable[Stage]) -> list[str]:
    """Return the environments that stages run in, sorted; the host process is none."""
    return sorted({stage.environment for stage in stages} - {"host"})


def quiet(sinks: list[Sink]) -> Callable[..., None]:
    """Return an event function for commands that are not runs."""
    return RunLog("none", sinks)


def say(sinks: list[Sink], text: str, event: str, **data: Any) -> None:
    """Answer a command: plain text for a person, one JSON event for a machine."""
    display = next((sink for sink in sinks if hasattr(sink, "console")), None)
    if display is None:
        quiet(sinks)(event, **data)
    else:
        print(text)
