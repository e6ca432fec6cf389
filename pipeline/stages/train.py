"""`train`: an adapter on the base model, by supervised fine-tuning on the assistant's turns."""

from __future__ import annotations

from typing import Any

from pipeline.gates.training import training_gates
from pipeline.recipe import HubBase, Recipe
from pipeline.stages.model_folder import MODEL_FILES
from pipeline.stages.stage import Input, Stage


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stage `train`. It waits for preflight's gates but reads nothing of preflight."""
    return (
        Stage(
            name="train",
            family="train",
            version=1,
            environment="training",
            parameters={**recipe.slice("train", "prompt"), "base": _name(recipe)},
            summary=f"LoRA rank {recipe.train.lora.rank}, {recipe.train.epochs:g} epochs",
            program="train",
            after=("preflight",),
            inputs={
                "base": Input("fetch-base", MODEL_FILES),
                "data": Input("prepare", ("train.jsonl", "validation.jsonl")),
            },
            gates=training_gates,
            heavy=True,
        ),
    )


def _name(recipe: Recipe) -> dict[str, Any]:
    """Return what the adapter's configuration calls its base: a hub name, or nothing."""
    base = recipe.base
    return {"repo": base.repo, "revision": base.revision} if isinstance(base, HubBase) else {}
