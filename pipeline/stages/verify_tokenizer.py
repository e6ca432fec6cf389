"""`verify-tokenizer`: llama.cpp reads the converted vocabulary and splits texts as the trained tokenizer does.

It needs seconds and no weights, so a wrong pre-tokenizer is found before the training and not after the conversion.
"""

from __future__ import annotations

from pipeline.gates.parity import tokenizer_gates
from pipeline.recipe import Recipe
from pipeline.stages.stage import Input, Stage


def stages(recipe: Recipe) -> tuple[Stage, ...]:  # noqa: ARG001 - what it reads is all in preflight's files
    """Return the stage `verify-tokenizer`."""
    return (
        Stage(
            name="verify-tokenizer",
            family="verify-tokenizer",
            version=1,
            environment="inference",
            parameters={},
            summary="llama.cpp's ids against the tokenizer's",
            program="tokenize_gguf",
            inputs={
                "gguf": Input("preflight", ("vocabulary.gguf",)),
                "prompts": Input("preflight", ("tokens.jsonl",)),
            },
            gates=tokenizer_gates,
        ),
    )
