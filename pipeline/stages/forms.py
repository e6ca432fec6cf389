"""The forms of the model that speak, by the stages that make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # the recipe holds the limits of gates that ask here
    from pipeline.recipe import Recipe

BASE, TUNED = "verify-base", "verify-hf"
"""The stages that make the untuned model and the adapter on it speak."""

NAMES: Final = {BASE: "base", TUNED: "tuned", "verify-merged": "merged", "verify-f16": "F16"}
"""Stage → what a person calls the form that it makes speak; the quantized ones are called by their types."""


def forms_of(recipe: Recipe) -> list[str]:
    """Return the stages that make a form of the model speak, the untuned base first."""
    quantized = [f"verify-quant-{kind}" for kind in recipe.quantize.types]
    return [*NAMES, *quantized]


def seeds_of(recipe: Recipe) -> dict[int, str]:
    """Return training seed → the stage that makes its adapter speak, the recipe's own seed first."""
    further = {seed: f"verify-hf-seed-{seed}" for seed in recipe.evaluate.training_seeds}
    return {recipe.train.seed: TUNED, **further}


def named_forms(recipe: Recipe) -> dict[str, str]:
    """Return what a recipe calls each form → the stage that makes it speak."""
    names = {name.lower(): stage for stage, name in NAMES.items()}
    return {**names, **{kind: f"verify-quant-{kind}" for kind in recipe.quantize.types}}
