"""`verify-merged`: the merged model, before conversion."""

from __future__ import annotations

from pipeline.gates.generation import generation_gates
from pipeline.recipe import Recipe
from pipeline.stages.stage import Input, Stage
from pipeline.stages.verify_base import PROMPT_FILES, fills_the_machine, verify_parameters


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stage `verify-merged`."""
    return (
        Stage(
            name="verify-merged",
            family="verify-merged",
            version=1,
            environment="training",
            parameters=verify_parameters(recipe),
            summary="answers and logits of the merged model",
            program="generate_hf",
            inputs={
                "model": Input("merge", ("model/**",)),
                "prompts": Input("preflight", PROMPT_FILES),
            },
            judged_with={"data": "prepare"},
            gates=generation_gates,
            heavy=fills_the_machine(recipe),
        ),
    )
