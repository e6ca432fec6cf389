"""The registry of stages: one literal list, one module each, in the order of the work."""

from __future__ import annotations

from pipeline.recipe import Recipe
from pipeline.stages import (
    compare,
    convert,
    evaluate,
    evaluate_base,
    fetch,
    imatrix,
    judge,
    merge,
    preflight,
    prepare,
    quantize,
    release,
    report,
    train,
    verify_base,
    verify_f16,
    verify_hf,
    verify_merged,
    verify_quant,
    verify_tokenizer,
)
from pipeline.stages.stage import Stage

MODULES = (
    fetch,
    prepare,
    preflight,
    verify_tokenizer,
    verify_base,
    evaluate_base,
    train,
    verify_hf,
    merge,
    verify_merged,
    convert,
    verify_f16,
    imatrix,
    quantize,
    verify_quant,
    compare,
    evaluate,
    judge,
    report,
    release,
)


def stages_of(recipe: Recipe) -> tuple[Stage, ...]:
    """Return every stage of a recipe."""
    return tuple(stage for module in MODULES for stage in module.stages(recipe))
