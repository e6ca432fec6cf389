"""`quantize`: the F16 file in each type that the recipe names, one stage per type."""

from __future__ import annotations

from functools import partial

from pipeline.gates.quantization import quantization_gates
from pipeline.quantization_types import MOST_BITS_PER_WEIGHT, USE_NO_IMATRIX
from pipeline.recipe import Recipe
from pipeline.stages.room import PAPERS_BYTES, Room, Sizes
from pipeline.stages.stage import Input, Stage
from pipeline.stages.verify_base import fills_the_machine


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return one stage `quantize-<TYPE>` per type."""
    return tuple(
        Stage(
            name=f"quantize-{kind}",
            family="quantize",
            version=1,
            environment="inference",
            parameters={"type": kind},
            summary=f"F16 GGUF to {kind}{', by importance' if weighted(recipe, kind) else ''}",
            program="quantize",
            after=("verify-f16",),
            inputs={
                "gguf": Input("convert", ("model-f16.gguf",)),
                **({"imatrix": Input("imatrix", ("imatrix.gguf",))} if weighted(recipe, kind) else {}),
            },
            gates=quantization_gates,
            heavy=fills_the_machine(recipe),
            room=partial(_room, kind),
        )
        for kind in recipe.quantize.types
    )


def _room(kind: str, sizes: Sizes) -> Room:
    """Return the bits of the type for each weight, of which the source has 16."""
    return Room(published=int(sizes["gguf"] * MOST_BITS_PER_WEIGHT[kind] / 16) + PAPERS_BYTES)


def weighted(recipe: Recipe, kind: str) -> bool:
    """Say whether the weights of a type are rounded by the importance matrix."""
    return recipe.quantize.imatrix and kind not in USE_NO_IMATRIX
