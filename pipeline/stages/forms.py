"""The forms of the model that speak, by the stages that make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # the recipe holds the limits of gates that ask here
    from pipeline.recipe import Recipe

BASE: Final = "verify-base"
"""The stage that makes the untuned model speak."""


def forms_of(recipe: Recipe) -> list[str]:
    """Return the stages that make a form of the model speak, the untuned base first."""
    quantized = [f"verify-quant-{kind}" for kind in recipe.quantize.types]
    return [BASE, "verify-hf", "verify-merged", "verify-f16", *quantized]


def seeds_of(recipe: Recipe) -> dict[int, str]:
    """Return training seed → the stage that makes its adapter speak, the recipe's own seed first."""
    further = {seed: f"verify-hf-seed-{seed}" for seed in recipe.evaluate.training_seeds}
    return {recipe.train.seed: "verify-hf", **further}


def named_forms(recipe: Recipe) -> dict[str, str]:
    """Return what a recipe calls each form → the stage that makes it speak."""
    names = {"base": BASE, "tuned": "verify-hf", "merged": "verify-merged", "f16": "verify-f16"}
    return {**names, **{kind: f"verify-quant-{kind}" for kind in recipe.quantize.types}}
