"""`merge`: the adapter added to the base model's weights."""

from __future__ import annotations

from functools import partial
from typing import Any

from pipeline.gates.parity import merge_gates
from pipeline.recipe import Recipe
from pipeline.stages.four_bit import four_bit_parameters, training_base
from pipeline.stages.model_folder import MODEL_FILES
from pipeline.stages.room import Room, Sizes
from pipeline.stages.stage import Input, Stage


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stage `merge`. After a training on 4 bits it measures two merges against what `verify-hf` found."""
    dtype = recipe.merge.dtype
    return (
        Stage(
            name="merge",
            family="merge",
            version=1,
            environment="training",
            parameters=_parameters(recipe),
            summary=f"adapter into base, stored as {'the base is' if dtype == 'base' else dtype}",
            program="merge",
            after=("verify-hf",),
            inputs={
                "base": Input("fetch-base", MODEL_FILES),
                "adapter": Input("train", ("adapter/**",)),
                **_measured_with(recipe),
            },
            gates=merge_gates,
            heavy=True,
            room=partial(_room, recipe),
        ),
    )


def _room(recipe: Recipe, sizes: Sizes) -> Room:
    """Return one model, in the base's type or in float32, which may be twice as wide; two while both are measured."""
    model = sizes["base"] * (2 if recipe.merge.dtype == "float32" else 1)
    return Room(published=model, beside=model if recipe.train.load_in_4bit else 0)


def _parameters(recipe: Recipe) -> dict[str, Any]:
    """Return the table `[merge]`; of two merges only a training on 4 bits leaves a choice."""
    four_bit = four_bit_parameters(recipe)
    return {**recipe.slice("merge", "prompt"), **four_bit} if four_bit else {"merge": {"dtype": recipe.merge.dtype}}


def _measured_with(recipe: Recipe) -> dict[str, Input]:
    """Return what two merges are measured with."""
    if not recipe.train.load_in_4bit:
        return {}
    return {
        "reference": Input("verify-hf", ("forward.json", "logits.npy")),
        "preflight": Input("preflight", ("parity.json",)),
        "data": Input("prepare", ("test.jsonl", "validation.jsonl")),
        **training_base(recipe),
    }
