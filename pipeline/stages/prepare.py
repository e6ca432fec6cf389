"""`prepare`: raw rows read, cleaned, freed of duplicates, split, and audited by independent code."""

from __future__ import annotations

from pipeline.gates.data import data_gates
from pipeline.recipe import Recipe
from pipeline.stages.stage import Input, Stage


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stage `prepare`."""
    split = recipe.split
    inputs = {"data": Input("fetch-data")}
    if recipe.data.overrules is not None:
        inputs["overrules"] = Input("fetch-overrules", ("entries.json",))
    return (
        Stage(
            name="prepare",
            family="prepare",
            version=1,
            environment="training",
            parameters=recipe.slice("columns", "clean", "split", "data"),
            summary=f"clean rows, split {split.train:.0%} / {split.validation:.0%} / {split.test:.0%}",
            program="prepare",
            inputs=inputs,
            gates=data_gates,
        ),
    )
