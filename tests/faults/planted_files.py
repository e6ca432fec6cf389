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
from tests.support import tiny_model
from tests.support.gguf_file import write_merged

TYPE = "Q4_K_M"
QUANTIZED, VERIFIED = f"quantize-{TYPE}", f"verify-quant-{TYPE}"
_U32, _BLOCK_BYTES, _BLOCK = 4, 144, 40
"""GGUF's number for an unsigned integer; bytes of a Q4_K block; which block is damaged."""


def wrong_pre_tokenizer(shop: Workshop) -> Trail:
    """Declare a way to split text that is another than the tokenizer's.

    The seedling's own tokens end wherever any of llama.cpp's ways would split; so this takes the unit tests' random
    model, whose tokens span Chinese characters and kana, and rows that hold them.
    """
    folder, data = write_merged(shop.new("merged")), shop.new("prepared")
    for split, first, count in (("train", 0, 800), ("validation", 800, 100), ("test", 900, 100)):
        tiny_model.write_rows(data / f"{split}.jsonl", tiny_model.rows(count, first))
    base = {**shop.recipe.slice("base")["base"], "pre_tokenizer": "kimi-k2"}
    recipe = shop.with_settings(base=base, generate={"prompts": 8}, train={"eval_every_steps": 20})
    checked = shop.run("preflight", {"fetch-base": folder / "model", "prepare": data}, recipe)
    yield checked
    yield shop.run("verify-tokenizer", {"preflight": checked.folder}, recipe)


def other_eos(shop: Workshop) -> Trail:
    """Let the file name `<|endoftext|>` as its end."""
    folder = shop.copy("convert")
    path = folder / "model-f16.gguf"
    number = read_header(path).keys["tokenizer.ggml.padding_token_id"]
    set_number(path, "tokenizer.ggml.eos_token_id", number)
    yield shop.run("verify-f16", {**shop.small, "convert": folder})


def set_number(path: Path, key: str, value: int) -> None:
    """Replace an unsigned number in a GGUF file's keys."""
    content = bytearray(path.read_bytes())
    place = content.index(key.encode()) + len(key)
    assert struct.unpack_from("<I", content, place) == (_U32,)
    struct.pack_into("<I", content, place + 4, value)
    path.write_bytes(content)


def damaged_block(shop: Workshop, damage: Callable[[bytes], bytes], tensor: str = "blk.1.ffn_gate.weight") -> Trail:
    """Change one block of 256 weights of the quantized file."""
    folder = shop.copy(QUANTIZED)
    path = folder / f"model-{TYPE}.gguf"
    header = read_header(path)
    found = next(one for one in header.tensors if one.name == tensor)
    content = bytearray(path.read_bytes())
    start = header.data_start + found.offset + _BLOCK * _BLOCK_BYTES
    content[start : start + _BLOCK_BYTES] = damage(bytes(content[start : start + _BLOCK_BYTES]))
    path.write_bytes(content)
    yield shop.judge(QUANTIZED, folder)
    yield shop.run(VERIFIED, {**shop.small, QUANTIZED: folder})


def _ones(block: bytes) -> bytes:
    """All bits set: the block's scale is no number."""
    return b"\xff" * len(block)


def _zeros(block: bytes) -> bytes:
    """All bits cleared, as a hole in a file reads."""
    return bytes(len(block))


def _wild_scale(block: bytes) -> bytes:
    """One bit of the scale's exponent flipped: weights 16 times as large, which no answer shows."""
    return bytes([block[0], block[1] ^ 0x10, *block[2:]])


def another_type(shop: Workshop) -> Trail:
    """Quantize to Q2_K and call it Q4_K_M."""
    made = shop.run("quantize-Q2_K", None, shop.with_settings(quantize={"types": ["Q2_K"]}))
    folder = shop.new(QUANTIZED)
    shutil.copyfile(made.folder / "model-Q2_K.gguf", folder / f"model-{TYPE}.gguf")
    write_json(folder / "quantize.json", {**read_json(made.folder / "quantize.json"), "type": TYPE})
    yield shop.judge(QUANTIZED, folder)


def _damaged(name: str, how: str, damage: Callable[[bytes], bytes]) -> Fault:
    what = f"a quantized file with one damaged block: {how}"
    plant = partial(damaged_block, damage=damage)
    return Fault(name, what, plant, VERIFIED, "weights.blocks", "do not hold the weights of its source")


FILE_FAULTS = (
    Fault(
        "wrong-pre-tokenizer",
        "wrong pre-tokenizer",
        wrong_pre_tokenizer,
        "verify-tokenizer",
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
    _damaged("damaged-block-bits-set", "all bits set", _ones),
    _damaged("damaged-block-scale", "one bit of its scale", _wild_scale),
    _damaged("damaged-block-zeros", "all bits cleared", _zeros),
)
