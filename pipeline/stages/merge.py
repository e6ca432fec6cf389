"""`merge`: the adapter added to the base model's weights."""

from __future__ import annotations

from pipeline.gates.parity import merge_gates
from pipeline.recipe import Recipe
from pipeline.stages.model_folder import MODEL_FILES
from pipeline.stages.stage import Input, Stage


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stage `merge`."""
    dtype = recipe.merge.dtype
    return (
        Stage(
            name="merge",
            family="merge",
            version=1,
            environment="training",
            parameters=recipe.slice("merge"),
            summary=f"adapter into base, stored as {'the base is' if dtype == 'base' else dtype}",
            program="merge",
            after=("verify-hf",),
            inputs={"base": Input("fetch-base", MODEL_FILES), "adapter": Input("train", ("adapter/**",))},
            gates=merge_gates,
            heavy=True,
        ),
    )
