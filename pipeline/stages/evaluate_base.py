"""`evaluate-base`: the untuned base on the held-out prompts. It needs no training."""

from __future__ import annotations

from dataclasses import replace

from pipeline.recipe import Recipe
from pipeline.stages import evaluate
from pipeline.stages.forms import BASE, forms_of, seeds_of
from pipeline.stages.stage import Stage


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stage `evaluate-base`: stage `evaluate` with the base alone. The base is not judged."""
    (whole,) = evaluate.stages(recipe)
    later = {*forms_of(recipe), *seeds_of(recipe).values()} - {BASE}
    return (
        replace(
            whole,
            name="evaluate-base",
            family="evaluate-base",
            parameters={**whole.parameters, "forms": [BASE], "seeds": []},
            summary="metrics of the untuned model",
            program="evaluate_base",
            inputs={name: item for name, item in whole.inputs.items() if name not in later},
            judged_with={},
            gates=(),
        ),
    )
