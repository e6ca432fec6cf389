"""`evaluate`: base against tuned and every file made of it, on the held-out prompts, with intervals."""

from __future__ import annotations

from pipeline.gates.evaluation import evaluation_gates
from pipeline.recipe import Recipe
from pipeline.stages.forms import forms_of
from pipeline.stages.stage import Input, Stage
from pipeline.stages.verify_base import PROMPT_FILES

FORM_FILES = ("generations.jsonl", "forward.json", "logits.npy", "neutral-logits.npy")
"""What is scored of a form."""


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stage `evaluate`. It scores what was published and loads no model."""
    forms = forms_of(recipe)
    return (
        Stage(
            name="evaluate",
            family="evaluate",
            version=1,
            environment="training",
            parameters={"forms": forms, "language": recipe.clean.language},
            summary="metrics of every form, differences with intervals",
            program="evaluate",
            inputs={
                **{form: Input(form, FORM_FILES) for form in forms},
                "preflight": Input("preflight", PROMPT_FILES),
                "data": Input("prepare", ("train.jsonl",)),
            },
            gates=evaluation_gates,
        ),
    )
