"""The forms of the model that speak, by the stages that make them."""

from __future__ import annotations

from typing import Final

from pipeline.recipe import Recipe

BASE: Final = "verify-base"
"""The stage that makes the untuned model speak."""


def forms_of(recipe: Recipe) -> list[str]:
    """Return the stages that make a form of the model speak, the untuned base first."""
    quantized = [f"verify-quant-{kind}" for kind in recipe.quantize.types]
    return [BASE, "verify-hf", "verify-merged", "verify-f16", *quantized]


def named_forms(recipe: Recipe) -> dict[str, str]:
    """Return what a recipe calls each form → the stage that makes it speak."""
    names = {"base": BASE, "tuned": "verify-hf", "merged": "verify-merged", "f16": "verify-f16"}
    return {**names, **{kind: f"verify-quant-{kind}" for kind in recipe.quantize.types}}
