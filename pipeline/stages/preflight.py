"""`preflight`: everything that can be known before training, in seconds."""

from __future__ import annotations

from typing import Any

from pipeline.gates.preflight import preflight_gates
from pipeline.recipe import Recipe
from pipeline.recipe_sources import SeedlingBase
from pipeline.stages.four_bit import training_base
from pipeline.stages.model_folder import MODEL_FILES
from pipeline.stages.stage import Input, Stage


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stage `preflight`. It takes only the settings that it judges, so that others do not rebuild it."""
    asked = recipe.evaluate.unanswerable is not None
    return (
        Stage(
            name="preflight",
            family="preflight",
            version=1,
            environment="training",
            parameters={
                **recipe.slice("prompt", "train", "parity"),
                "prompts": recipe.generate.prompts,
                "pre_tokenizer": recipe.base.pre_tokenizer,
                "neutral": _neutral(recipe),
            },
            summary=f"checks before training, {recipe.generate.prompts} prompts",
            program="preflight",
            inputs={
                "base": Input("fetch-base", MODEL_FILES),
                "data": Input("prepare", ("train.jsonl", "validation.jsonl", "test.jsonl")),
                **training_base(recipe),
                **_neutral_file(recipe),
                **({"questions": Input("fetch-questions", ("questions.jsonl",))} if asked else {}),
            },
            gates=preflight_gates,
            vendored=True,
        ),
    )


def _neutral(recipe: Recipe) -> dict[str, Any]:
    """Return how much neutral text is read, and which: the user's, or one that this base can read."""
    tokens = recipe.evaluate.neutral_tokens
    if recipe.evaluate.neutral is not None:
        return {"tokens": tokens, "source": "file"}
    if isinstance(recipe.base, SeedlingBase):
        return {"tokens": tokens, "source": "seedling", "seed": recipe.base.seed}
    return {"tokens": tokens, "source": "built-in"}


def _neutral_file(recipe: Recipe) -> dict[str, Input]:
    """Return the user's neutral text, where the recipe names one."""
    return {} if recipe.evaluate.neutral is None else {"neutral": Input("fetch-neutral", ("neutral.txt",))}
