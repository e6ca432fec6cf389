"""`verify-quant`: each quantized file under llama.cpp, one stage per type."""

from __future__ import annotations

from pipeline.recipe import Recipe
from pipeline.stages.stage import Input, Stage
from pipeline.stages.verify_base import fills_the_machine
from pipeline.stages.verify_f16 import GGUF_GATES, gguf_parameters, gguf_prompts


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return one stage `verify-quant-<TYPE>` per type."""
    return tuple(
        Stage(
            name=f"verify-quant-{kind}",
            family="verify-quant",
            version=1,
            environment="inference",
            parameters=gguf_parameters(recipe),
            summary=f"answers and logits of the {kind} file",
            program="generate_gguf",
            inputs={"gguf": Input(f"quantize-{kind}", (f"model-{kind}.gguf",)), "prompts": gguf_prompts()},
            judged_with={"data": "prepare"},
            gates=GGUF_GATES,
            heavy=fills_the_machine(recipe),
        )
        for kind in recipe.quantize.types
    )
