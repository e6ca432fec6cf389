"""`verify-quant`: each quantized file under llama.cpp, and its weights against F16's; one stage per type."""

from __future__ import annotations

from pipeline.gates.quantization import block_gates
from pipeline.recipe import Recipe
from pipeline.stages.quantize import weighted
from pipeline.stages.stage import Input, Stage
from pipeline.stages.verify_base import fills_the_machine
from pipeline.stages.verify_f16 import GGUF_GATES, gguf_parameters, gguf_prompts


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return one stage `verify-quant-<TYPE>` per type."""
    return tuple(
        Stage(
            name=f"verify-quant-{kind}",
            family="verify-quant",
            version=2,
            environment="inference",
            parameters={**gguf_parameters(recipe), "weighted": weighted(recipe, kind)},
            summary=f"weights, answers and logits of the {kind} file",
            program="generate_gguf",
            inputs={
                "gguf": Input(f"quantize-{kind}", (f"model-{kind}.gguf",)),
                "source": Input("convert", ("model-f16.gguf",)),
                "prompts": gguf_prompts(),
            },
            judged_with={"data": "prepare"},
            gates=(*block_gates, *GGUF_GATES),
            heavy=fills_the_machine(recipe),
        )
        for kind in recipe.quantize.types
    )
