"""`convert`: the merged model as one F16 GGUF file, by llama.cpp's pinned converter."""

from __future__ import annotations

from pipeline.recipe import Recipe
from pipeline.stages.stage import Input, Stage


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stage `convert`."""
    base = recipe.base
    return (
        Stage(
            name="convert",
            family="convert",
            version=1,
            environment="training",
            parameters={
                "name": recipe.name,
                "base": {"pre_tokenizer": base.pre_tokenizer, "licence": base.licence},
            },
            summary="Hugging Face model to F16 GGUF",
            program="convert",
            after=("verify-merged",),
            inputs={"model": Input("merge", ("model/**",))},
            vendored=True,
        ),
    )
