"""`verify-base`: the untuned model, for comparison. Nothing of it has to be good."""

from __future__ import annotations

from typing import Any

from pipeline.recipe import Recipe
from pipeline.stages.model_folder import MODEL_FILES
from pipeline.stages.stage import Input, Stage

PROMPT_FILES = ("prompts.jsonl", "parity.json", "neutral.json")
"""What every form of the model is made to read."""


def verify_parameters(recipe: Recipe) -> dict[str, Any]:
    """Return what the program for Hugging Face forms reads of a recipe."""
    return {
        **recipe.slice("generate"),
        "attention": recipe.train.attention,
        "terminator": recipe.prompt.terminator,
    }


def fills_the_machine(recipe: Recipe) -> bool:
    """Say whether a form of this model should run alone; two of a seedling's fit beside each other."""
    return not recipe.base.source.startswith("seedling")


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stage `verify-base`."""
    return (
        Stage(
            name="verify-base",
            family="verify-base",
            version=1,
            environment="training",
            parameters=verify_parameters(recipe),
            summary="answers and logits of the untuned model",
            program="generate_hf",
            inputs={"base": Input("fetch-base", MODEL_FILES), "prompts": Input("preflight", PROMPT_FILES)},
            heavy=fills_the_machine(recipe),
        ),
    )
