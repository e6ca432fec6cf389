"""`evaluate`: base against tuned and every file made of it, on the held-out prompts, with intervals."""

from __future__ import annotations

from typing import Any

from pipeline.gates.evaluation import evaluation_gates
from pipeline.recipe import Recipe
from pipeline.stages.forms import forms_of, seeds_of
from pipeline.stages.model_folder import MODEL_FILES
from pipeline.stages.stage import Input, Stage
from pipeline.stages.verify_base import PROMPT_FILES

FORM_FILES = ("generations.jsonl", "forward.json", "logits.npy", "neutral-logits.npy")
"""What is scored of a form."""


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stage `evaluate`. It scores what was published, and loads no model but BERTScore's."""
    forms, seeds = forms_of(recipe), seeds_of(recipe)
    return (
        Stage(
            name="evaluate",
            family="evaluate",
            version=1,
            environment="training",
            parameters={
                "forms": forms,
                "seeds": [[seed, name] for seed, name in seeds.items()],
                "language": recipe.clean.language,
                **_scorer_parameters(recipe),
            },
            summary="metrics of every form, differences with intervals",
            program="evaluate",
            inputs={
                **{form: Input(form, FORM_FILES) for form in (*forms, *seeds.values())},
                "preflight": Input("preflight", PROMPT_FILES),
                "data": Input("prepare", ("train.jsonl",)),
                **_scorer(recipe),
            },
            judged_with={"baseline": "evaluate-base"},
            gates=evaluation_gates,
            heavy=recipe.evaluate.bertscore is not None,
        ),
    )


def _scorer_parameters(recipe: Recipe) -> dict[str, Any]:
    """Return how BERTScore is computed, where the recipe names a model for it."""
    scorer = recipe.evaluate.bertscore
    return {} if scorer is None else {"bertscore": {"layer": scorer.layer, "idf": scorer.idf}}


def _scorer(recipe: Recipe) -> dict[str, Input]:
    """Return the model of BERTScore, where the recipe names one."""
    return {} if recipe.evaluate.bertscore is None else {"scorer": Input("fetch-scorer", (*MODEL_FILES, "base.json"))}
