"""The models: folders with random weights in 16 bits."""

from __future__ import annotations

from typing import Any

from bench.gpu import settings
from bench.gpu.bench import Bench, tree_of
from bench.gpu.shapes import Shape

HELD_OUT_ROWS = 8
SEED = 1


def part(shape: Shape) -> str:
    """Return the name of the part that makes a model."""
    return f"model-{shape.name}"


def make(bench: Bench, limit_s: float, shape: Shape) -> dict[str, Any]:
    """Write the model's folder on the disk, or in memory where that has the room."""
    request = {
        "config": shape.config(),
        "tree": str(tree_of(bench)),
        "real_tokenizer": shape.real_tokenizer,
        "prompt": settings.tables()["prompt"],
        "row_tokens": shape.row_tokens,
        "train": shape.steps * settings.rows_of_a_step(),
        "held_out": HELD_OUT_ROWS,
        "seed": SEED,
        "device": bench.device,
    }
    size = 2 * shape.parameters
    found, folder = bench.inner(part(shape), "make_model", request, limit_s, size=size)
    return {"bytes": size, "parameters": shape.parameters, "in": folder.parent.name, "seconds": round(found.seconds, 1)}
