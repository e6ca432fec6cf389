"""`train`: an adapter on the base model, by supervised fine-tuning on the assistant's turns; one for each seed.

Where the recipe asks for it, `train-again` does the same once more, and a gate compares.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pipeline.gates.repetition import repetition_gates
from pipeline.gates.training import training_gates
from pipeline.recipe import Recipe
from pipeline.recipe_sources import HubBase
from pipeline.stages.four_bit import training_base
from pipeline.stages.model_folder import MODEL_FILES
from pipeline.stages.stage import Input, Stage

_PROGRAMS = {"trl": "train", "trl-cuda": "train_trl_cuda", "unsloth": "train_unsloth"}
"""Trainer → program. One for each, so that the code of one counts in no key of another."""

_TOGETHER = "train_distributed"
"""The program of both TRL trainers where several processes train together."""


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return `train`, and `train-seed-<N>` for each further seed that the evaluation asks for.

    They wait for the gates before them but read nothing of their stages. Further seeds also wait until the adapter of
    the recipe's own seed has spoken well: a broken recipe is trained once.
    """
    summary = f"LoRA rank {recipe.train.lora.rank}, {recipe.train.epochs:g} epochs"
    first = _training(recipe, "train", "train", recipe.train.seed, ("preflight", "verify-tokenizer"), summary)
    further = (
        _training(recipe, f"train-seed-{seed}", "train-seed", seed, ("verify-hf",), f"{summary}, seed {seed}")
        for seed in recipe.evaluate.training_seeds
    )
    return (first, *_again(first, recipe), *further)


def _again(first: Stage, recipe: Recipe) -> tuple[Stage, ...]:
    """Return the same training under another name, so that it has another key and is really done.

    Like a further seed it waits until the first adapter has spoken well.
    """
    if not recipe.train.repeat:
        return ()
    name, summary = "train-again", f"{first.summary}, once more"
    return (
        replace(
            first,
            name=name,
            family=name,
            summary=summary,
            after=("verify-hf",),
            judged_with={"first": "train"},
            gates=repetition_gates,
        ),
    )


def _training(recipe: Recipe, name: str, family: str, seed: int, after: tuple[str, ...], summary: str) -> Stage:
    parameters = recipe.slice("train", "prompt")
    return Stage(
        name=name,
        family=family,
        version=1,
        environment="training",
        parameters={**parameters, "train": {**parameters["train"], "seed": seed}, "base": _name(recipe)},
        summary=summary,
        program=_PROGRAMS[recipe.train.trainer] if recipe.train.processes == 1 else _TOGETHER,
        after=after,
        inputs={
            "base": Input("fetch-base", MODEL_FILES),
            "data": Input("prepare", ("train.jsonl", "validation.jsonl")),
            **training_base(recipe),
        },
        gates=training_gates,
        heavy=True,
        tracked=True,
        needs=_needs(recipe),
    )


def _needs(recipe: Recipe) -> dict[str, str]:
    """Return what the recipe's settings ask of the training environment."""
    train = recipe.train
    asked = (
        ("unsloth", 'trainer = "unsloth"', train.trainer == "unsloth"),
        ("bitsandbytes", 'trainer = "trl-cuda"', train.trainer == "trl-cuda"),
        ("bitsandbytes", "load_in_4bit = true", train.load_in_4bit and train.trainer == "unsloth"),
        ("bitsandbytes", 'optimizer = "adamw_8bit"', train.optimizer == "adamw_8bit"),
    )
    found: dict[str, str] = {}
    for need, setting, wanted in asked:
        if wanted:
            found[need] = f"{found[need]}, {setting}" if need in found else setting
    return found


def _name(recipe: Recipe) -> dict[str, Any]:
    """Return what the adapter's configuration calls its base: a hub name, or nothing."""
    base = recipe.base
    return {"repo": base.repo, "revision": base.revision} if isinstance(base, HubBase) else {}
