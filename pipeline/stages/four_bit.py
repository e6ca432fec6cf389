"""What stages are given where training loads 4-bit weights; nothing, and so no other key, where it does not."""

from __future__ import annotations

from typing import Any

from pipeline.recipe import Recipe
from pipeline.recipe_sources import HubBase
from pipeline.stages.model_folder import MODEL_FILES
from pipeline.stages.stage import Input

_SETTINGS = ("load_in_4bit", "double_quantization", "precision", "attention")


def four_bit_parameters(recipe: Recipe) -> dict[str, Any]:
    """Return the part of the recipe that says how training saw the base."""
    if not recipe.train.load_in_4bit:
        return {}
    train = recipe.slice("train")["train"]
    return {"train": {name: train[name] for name in _SETTINGS}}


def training_base(recipe: Recipe) -> dict[str, Input]:
    """Return the 4-bit copy of the base that training loads, where the recipe names one."""
    if isinstance(recipe.base, HubBase) and recipe.base.training is not None:
        return {"training_base": Input("fetch-training-base", MODEL_FILES)}
    return {}
