"""`verify-f16`: the F16 file under llama.cpp, before quantization."""

from __future__ import annotations

from typing import Any

from pipeline.gates.generation import generation_gates
from pipeline.gates.inference import inference_gates
from pipeline.gates.parity import metadata_gates, tokenizer_gates
from pipeline.recipe import Recipe
from pipeline.stages.stage import Input, Stage
from pipeline.stages.verify_base import PROMPT_FILES, fills_the_machine

GGUF_GATES = (*tokenizer_gates, *metadata_gates, *generation_gates, *inference_gates)
"""What every GGUF form must pass: it reads texts as the trained tokenizer does, and speaks; a card is used."""


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stage `verify-f16`."""
    return (
        Stage(
            name="verify-f16",
            family="verify-f16",
            version=1,
            environment="inference",
            parameters=gguf_parameters(recipe),
            summary="answers and logits of the F16 file",
            program="generate_gguf",
            inputs={"gguf": Input("convert", ("model-f16.gguf",)), "prompts": gguf_prompts()},
            judged_with={"data": "prepare"},
            gates=GGUF_GATES,
            heavy=fills_the_machine(recipe),
        ),
    )


def gguf_parameters(recipe: Recipe) -> dict[str, Any]:
    """Return what the program for GGUF forms reads of a recipe."""
    return {**recipe.slice("generate"), "terminator": recipe.prompt.terminator}


def gguf_prompts() -> Input:
    """Return what a GGUF form is made to read: the prompts of every form, and the texts to tokenize."""
    return Input("preflight", (*PROMPT_FILES, "tokens.jsonl"))
