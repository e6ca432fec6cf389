"""Plans of recipes that stand in a test as text."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipeline.loading import read_recipe
from pipeline.plan import Plan
from pipeline.stages.registry import stages_of

SEEDLING: Final = """\
name = "mine"
description = "a test"
[base]
source = "seedling"
[prompt]
user = "{theme}"
"""
"""A recipe without `[data]`, to which tables are added."""


def planned(text: str, folder: Path) -> Plan:
    """Return the plan of a recipe that lies in a folder."""
    recipe, problems = read_recipe(text, "r.toml")
    assert problems == []
    assert recipe is not None
    return Plan(stages_of(recipe.in_folder(folder)))
