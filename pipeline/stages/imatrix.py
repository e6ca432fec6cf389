"""`imatrix`: the importance matrix by which weights are rounded; only with `quantize.imatrix`."""

from __future__ import annotations

from pipeline.gates.imatrix import imatrix_gates
from pipeline.recipe import Recipe
from pipeline.stages.model_folder import MODEL_FILES
from pipeline.stages.stage import Input, Stage
from pipeline.stages.verify_base import fills_the_machine

TOKENIZER_FILES = tuple(name for name in MODEL_FILES if "safetensors" not in name)
"""What a tokenizer is loaded from: no weights, so that none are copied and hashed for it."""


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return `imatrix-text`, the training rows as ids, and `imatrix`, which runs them through the F16 file.

    Two stages, because rows become ids by the tokenizer that trained, and that lives in the other environment.
    """
    settings = recipe.quantize
    if not settings.imatrix:
        return ()
    return (
        Stage(
            name="imatrix-text",
            family="imatrix",
            version=1,
            environment="training",
            parameters={
                **recipe.slice("prompt"),
                "tokens": settings.imatrix_tokens,
                "chunk_tokens": settings.imatrix_chunk_tokens,
            },
            summary=f"training rows for the importance matrix, {settings.imatrix_tokens:,} tokens at most",
            program="imatrix_text",
            after=("preflight",),
            inputs={"base": Input("fetch-base", TOKENIZER_FILES), "data": Input("prepare", ("train.jsonl",))},
        ),
        Stage(
            name="imatrix",
            family="imatrix",
            version=1,
            environment="inference",
            parameters={},
            summary="importance matrix of the F16 file",
            program="imatrix",
            after=("verify-f16",),
            inputs={"gguf": Input("convert", ("model-f16.gguf",)), "text": Input("imatrix-text", ("chunks.json",))},
            gates=imatrix_gates,
            heavy=fills_the_machine(recipe),
        ),
    )
