"""`verify-hf`: the adapter on its base, as it was trained; one more for each further seed of the training."""

from __future__ import annotations

from pipeline.gates.generation import generation_gates
from pipeline.recipe import Recipe
from pipeline.stages.forms import seeds_of
from pipeline.stages.four_bit import four_bit_parameters, training_base
from pipeline.stages.model_folder import MODEL_FILES
from pipeline.stages.stage import Input, Stage
from pipeline.stages.verify_base import PROMPT_FILES, fills_the_machine, verify_parameters


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return `verify-hf`, and `verify-hf-seed-<N>`, which answers what is scored and is not judged by itself."""
    return (
        Stage(
            name="verify-hf",
            family="verify-hf",
            version=1,
            environment="training",
            parameters={**verify_parameters(recipe), **four_bit_parameters(recipe)},
            summary="answers and logits of the adapter on its base",
            program="generate_hf",
            inputs=_inputs(recipe, "train"),
            judged_with={"data": "prepare"},
            gates=generation_gates,
            heavy=fills_the_machine(recipe),
        ),
        *(
            Stage(
                name=seeds_of(recipe)[seed],
                family="verify-hf-seed",
                version=1,
                environment="training",
                parameters={**verify_parameters(recipe), **four_bit_parameters(recipe), "only_scored": True},
                summary=f"answers and logits of the adapter of seed {seed}",
                program="generate_hf",
                inputs=_inputs(recipe, f"train-seed-{seed}"),
                heavy=fills_the_machine(recipe),
            )
            for seed in recipe.evaluate.training_seeds
        ),
    )


def _inputs(recipe: Recipe, training: str) -> dict[str, Input]:
    return {
        "base": Input("fetch-base", MODEL_FILES),
        "adapter": Input(training, ("adapter/**",)),
        **training_base(recipe),
        "prompts": Input("preflight", PROMPT_FILES),
    }
