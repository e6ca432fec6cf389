"""GGUF files with a real model's header and no data: holes that take no place on the disk."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

BLOCKS = {"F32": (0, 1, 4), "F16": (1, 1, 2), "Q4_K": (12, 256, 144), "Q6_K": (14, 256, 210)}
"""Number, length and bytes of a block of ggml's types (ggml/src/ggml.c)."""

Value = int | float | str | list[int]


@dataclass(frozen=True)
class Shape:
    """A Qwen3 model's sizes, as in its config.json."""

    layers: int
    hidden: int
    feed_forward: int
    heads: int
    kv_heads: int
    head: int
    vocabulary: int
    tied: bool = False


QWEN3_14B = Shape(40, 5120, 17408, 40, 8, 128, 151936)
QWEN3_0_6B = Shape(28, 1024, 3072, 16, 8, 128, 151936, tied=True)


def write(path: Path, shape: Shape, *, quantized: bool) -> Path:
    """Write the file: F16, or the types that llama-quantize gives each tensor for Q4_K_M."""
    return write_hollow(path, _keys(shape), _tensors(shape, quantized=quantized))


def write_hollow(path: Path, keys: Mapping[str, Value], tensors: Sequence[tuple[str, tuple[int, ...], str]]) -> Path:
    """Write a file with these keys, and tensors (name, lengths, type) that are holes."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    head += b"".join(_key(name, value) for name, value in keys.items())
    offset = 0
    for name, lengths, kind in tensors:
        number, length, size = BLOCKS[kind]
        elements = 1
        for one in lengths:
            elements *= one
        head += _text(name) + struct.pack(f"<I{len(lengths)}QIQ", len(lengths), *lengths, number, offset)
        offset += -(-(elements // length * size) // 32) * 32
    head += bytes(-len(head) % 32)
    with path.open("wb") as stream:
        stream.write(head)
        stream.truncate(len(head) + offset)
    return path


def _keys(shape: Shape) -> dict[str, Value]:
    return {
        "general.architecture": "qwen3",
        "qwen3.block_count": shape.layers,
        "qwen3.context_length": 40960,
        "qwen3.embedding_length": shape.hidden,
        "qwen3.feed_forward_length": shape.feed_forward,
        "qwen3.attention.head_count": shape.heads,
        "qwen3.attention.head_count_kv": shape.kv_heads,
        "qwen3.attention.key_length": shape.head,
        "qwen3.attention.value_length": shape.head,
        "qwen3.attention.layer_norm_rms_epsilon": 1e-6,
        "qwen3.rope.freq_base": 1e6,
        "qwen3.vocab_size": shape.vocabulary,
        "tokenizer.ggml.model": "no_vocab",
    }


def _tensors(shape: Shape, *, quantized: bool) -> list[tuple[str, tuple[int, ...], str]]:
    plain, better = ("Q4_K", "Q6_K") if quantized else ("F16", "F16")
    wide, narrow = shape.heads * shape.head, shape.kv_heads * shape.head
    found: list[tuple[str, tuple[int, ...], str]] = [
        ("token_embd.weight", (shape.hidden, shape.vocabulary), plain),
        ("output_norm.weight", (shape.hidden,), "F32"),
    ]
    if not shape.tied:
        found.append(("output.weight", (shape.hidden, shape.vocabulary), better))
    for layer in range(shape.layers):
        eighth = shape.layers // 8  # src/llama-quant.cpp, `use_more_bits`
        more = layer < eighth or layer >= 7 * shape.layers // 8 or (layer - eighth) % 3 == 2
        important = better if more else plain
        weights = {
            "attn_q": (shape.hidden, wide, plain),
            "attn_k": (shape.hidden, narrow, plain),
            "attn_v": (shape.hidden, narrow, important),
            "attn_output": (wide, shape.hidden, plain),
            "ffn_gate": (shape.hidden, shape.feed_forward, plain),
            "ffn_up": (shape.hidden, shape.feed_forward, plain),
            "ffn_down": (shape.feed_forward, shape.hidden, important),
        }
        found += [(f"blk.{layer}.{name}.weight", (a, b), kind) for name, (a, b, kind) in weights.items()]
        norms = {
            "attn_norm": shape.hidden,
            "ffn_norm": shape.hidden,
            "attn_q_norm": shape.head,
            "attn_k_norm": shape.head,
        }
        found += [(f"blk.{layer}.{name}.weight", (length,), "F32") for name, length in norms.items()]
    return found


def _key(name: str, value: Value) -> bytes:
    if isinstance(value, int):
        return _text(name) + struct.pack("<II", 4, value)
    if isinstance(value, float):
        return _text(name) + struct.pack("<If", 6, value)
    if isinstance(value, list):
        return _text(name) + struct.pack(f"<IIQ{len(value)}I", 9, 4, len(value), *value)
    return _text(name) + struct.pack("<I", 8) + _text(value)


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()
