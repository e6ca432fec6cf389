"""Importance matrices that would weigh the wrong weights: of too little text, of dead inputs, without a matrix."""

from __future__ import annotations

import pytest

from pipeline.inside.gguf_header import read_header
from pipeline.inside.job import read_jsonl, write_jsonl
from pipeline.recipe import Recipe
from tests.faults.fault import Fault
from tests.faults.workshop import Given, Trail, Workshop

_ROWS = 12
"""Training rows that give some hundred tokens."""
_DEAD = 5
"""One in so many inputs is dead."""


def weighed(shop: Workshop) -> Recipe:
    """Return the seedling's recipe with an importance matrix over little text."""
    return shop.with_settings(quantize={"imatrix": True, "imatrix_tokens": 16_384})


def importance(shop: Workshop, given: Given | None = None) -> Trail:
    """Read the training rows, and run them through the F16 file."""
    recipe = weighed(shop)
    text = shop.run("imatrix-text", given, recipe)
    yield text
    yield shop.run("imatrix", {**(given or {}), "imatrix-text": text.folder}, recipe)


def little_text(shop: Workshop) -> Trail:
    """Leave a few training rows."""
    folder = shop.copy("prepare")
    write_jsonl(folder / "train.jsonl", read_jsonl(folder / "train.jsonl")[:_ROWS])
    yield from importance(shop, {"prepare": folder})


def dead_inputs(shop: Workshop) -> Trail:
    """Clear gates of a feed-forward layer, as a pruned model has them: what comes after is multiplied by nothing."""
    folder = shop.copy("convert")
    path = folder / "model-f16.gguf"
    header = read_header(path)
    gate = next(one for one in header.tensors if one.name == "blk.1.ffn_gate.weight")
    content = bytearray(path.read_bytes())
    start, length = header.data_start + gate.offset, gate.bytes // _DEAD
    content[start : start + length] = bytes(length)
    path.write_bytes(content)
    yield from importance(shop, {"convert": folder})


def unseen_matrix(shop: Workshop) -> Trail:
    """Let llama.cpp multiply by one kind of matrix in a way that nobody listens to, as a newer version may."""
    from pipeline.inside import activation_sums

    real = activation_sums._interesting

    def deaf(tensor: activation_sums._Tensor, kind: bytes) -> bool:
        return real(tensor, kind) and "attn_v" not in activation_sums._name(tensor.src[0].contents)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(activation_sums, "_interesting", deaf)
        judged = list(importance(shop))
    yield from judged


IMPORTANCE_FAULTS = (
    Fault(
        "importance-of-little-text",
        "an importance matrix of a few rows",
        little_text,
        "imatrix",
        "imatrix.tokens",
        "give too little text",
    ),
    Fault(
        "importance-of-dead-inputs",
        "an importance matrix of a model with a fifth of a layer cleared",
        dead_inputs,
        "imatrix",
        "imatrix.values",
        "zero on every token",
    ),
    Fault(
        "importance-without-a-matrix",
        "an importance matrix that says nothing of some matrices",
        unseen_matrix,
        "imatrix",
        "imatrix.tensors",
        "met no token",
    ),
)
