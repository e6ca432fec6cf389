"""Faults in GGUF files: in the conversion, in the quantization, and in bytes that changed afterwards."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pipeline.inside.gguf_header import read_header
from pipeline.inside.job import read_json, write_json
from tests.faults.fault import Fault
from tests.faults.workshop import Trail, Workshop

TYPE = "Q4_K_M"
QUANTIZED = f"quantize-{TYPE}"
_U32, _BLOCK_BYTES, _BLOCK = 4, 144, 40
"""GGUF's number for an unsigned integer; bytes of a Q4_K block; which block is damaged."""


def wrong_pre_tokenizer(shop: Workshop) -> Trail:
    """Declare GPT-2's way to split text for a tokenizer that splits as Qwen's does."""
    recipe = shop.with_settings(base={**shop.recipe.slice("base")["base"], "pre_tokenizer": "gpt-2"})
    yield shop.run("preflight", None, recipe)
    converted = shop.run("convert", None, recipe)
    yield converted
    yield shop.run("verify-f16", {**shop.small, "convert": converted.folder}, recipe)


def other_eos(shop: Workshop) -> Trail:
    """Let the file name `<|endoftext|>` as its end."""
    folder = shop.copy("convert")
    path = folder / "model-f16.gguf"
    number = read_header(path).keys["tokenizer.ggml.padding_token_id"]
    set_number(path, "tokenizer.ggml.eos_token_id", number)
    yield shop.judge("convert", folder)
    yield shop.run("verify-f16", {**shop.small, "convert": folder})


def set_number(path: Path, key: str, value: int) -> None:
    """Replace an unsigned number in a GGUF file's keys."""
    content = bytearray(path.read_bytes())
    place = content.index(key.encode()) + len(key)
    assert struct.unpack_from("<I", content, place) == (_U32,)
    struct.pack_into("<I", content, place + 4, value)
    path.write_bytes(content)


def damaged_block(shop: Workshop, damage: Callable[[bytes], bytes], tensor: str = "blk.1.ffn_gate.weight") -> Trail:
    """Change one block of 256 weights of the quantized file, and follow the file to the comparison."""
    folder = shop.copy(QUANTIZED)
    path = folder / f"model-{TYPE}.gguf"
    header = read_header(path)
    found = next(one for one in header.tensors if one.name == tensor)
    content = bytearray(path.read_bytes())
    start = header.data_start + found.offset + _BLOCK * _BLOCK_BYTES
    content[start : start + _BLOCK_BYTES] = damage(bytes(content[start : start + _BLOCK_BYTES]))
    path.write_bytes(content)
    yield shop.judge(QUANTIZED, folder)
    verified = shop.run(f"verify-quant-{TYPE}", {QUANTIZED: folder})
    yield verified
    yield shop.run("compare", {f"verify-quant-{TYPE}": verified.folder})


def _ones(block: bytes) -> bytes:
    """All bits set: the block's scale is no number."""
    return b"\xff" * len(block)


def _zeros(block: bytes) -> bytes:
    """All bits cleared, as a hole in a file reads."""
    return bytes(len(block))


def _wild_scale(block: bytes) -> bytes:
    """One bit of the scale's exponent flipped: weights 65,536 times as large."""
    return bytes([block[0], block[1] ^ 0x40, *block[2:]])


def another_type(shop: Workshop) -> Trail:
    """Quantize to Q2_K and call it Q4_K_M."""
    made = shop.run("quantize-Q2_K", None, shop.with_settings(quantize={"types": ["Q2_K"]}))
    folder = shop.new(QUANTIZED)
    shutil.copyfile(made.folder / "model-Q2_K.gguf", folder / f"model-{TYPE}.gguf")
    write_json(folder / "quantize.json", {**read_json(made.folder / "quantize.json"), "type": TYPE})
    yield shop.judge(QUANTIZED, folder)


FILE_FAULTS = (
    Fault(
        "wrong-pre-tokenizer",
        "wrong pre-tokenizer",
        wrong_pre_tokenizer,
        "verify-f16",
        "tokenizer.ids",
        "another pre-tokenizer",
    ),
    Fault(
        "another-eos-in-the-file",
        "GGUF metadata with another EOS",
        other_eos,
        "verify-f16",
        "metadata.special-tokens",
        "took a token from another file",
    ),
    Fault(
        "another-type",
        "Q2_K where Q4_K_M was asked",
        another_type,
        QUANTIZED,
        "quantization.type",
        "quantized to another type",
    ),
    Fault(
        "damaged-block-nan",
        "a quantized file with one damaged block: all bits set",
        partial(damaged_block, damage=_ones),
        f"verify-quant-{TYPE}",
        "generation.non-finite",
        "overflow",
    ),
    Fault(
        "damaged-block-scale",
        "a quantized file with one damaged block: one bit of its scale",
        partial(damaged_block, damage=_wild_scale),
        "compare",
        "parity.quantized",
        "keeps too little",
    ),
    Fault(
        "damaged-block-zeros",
        "a quantized file with one damaged block: all bits cleared",
        partial(damaged_block, damage=_zeros),
        "compare",
        "parity.quantized",
        "keeps too little",
    ),
)
