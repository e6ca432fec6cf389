"""`verify-hf`: the adapter on its base, as it was trained."""

from __future__ import annotations

from pipeline.gates.generation import generation_gates
from pipeline.recipe import Recipe
from pipeline.stages.four_bit import four_bit_parameters, training_base
from pipeline.stages.model_folder import MODEL_FILES
from pipeline.stages.stage import Input, Stage
from pipeline.stages.verify_base import PROMPT_FILES, fills_the_machine, verify_parameters


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stage `verify-hf`."""
    return (
        Stage(
            name="verify-hf",
            family="verify-hf",
            version=1,
            environment="training",
            parameters={**verify_parameters(recipe), **four_bit_parameters(recipe)},
            summary="answers and logits of the adapter on its base",
            program="generate_hf",
            inputs={
                "base": Input("fetch-base", MODEL_FILES),
                "adapter": Input("train", ("adapter/**",)),
                **training_base(recipe),
                "prompts": Input("preflight", PROMPT_FILES),
            },
            judged_with={"data": "prepare"},
            gates=generation_gates,
            heavy=fills_the_machine(recipe),
        ),
    )
