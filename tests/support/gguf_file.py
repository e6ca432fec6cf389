"""A small GGUF file written by hand, and the making of real ones by the pipeline's own programs."""

from __future__ import annotations

import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import tiny_model

PRE_TOKENIZER = "gpt-2"
"""What splits text as the tokenizer of `tiny_model` does (byte level with its own expression)."""

PADDING = "<|endoftext|>"

_F32 = 0


def write_small(path: Path, keys: dict[str, str | int | list[str]], values: list[float]) -> Path:
    """Write a GGUF file with string, unsigned and string-array keys and one F32 tensor `weight`."""
    return write_tensors(path, keys, {"weight": values})


def write_tensors(path: Path, keys: dict[str, str | int | list[str]], tensors: dict[str, list[float]]) -> Path:
    """Write a GGUF file with such keys and several F32 tensors, each of one dimension."""
    data = [struct.pack(f"<{len(values)}f", *values) for values in tensors.values()]
    if len(tensors) > 1:  # a file's last tensor is padded too, unless it is the only one of `write_small`
        data = [one + b"\0" * (-len(one) % 32) for one in data]
    path.write_bytes(_head(keys, {name: len(values) for name, values in tensors.items()}) + b"".join(data))
    return path


def write_large(path: Path, keys: dict[str, str | int | list[str]], size: int) -> Path:
    """Write a GGUF file with such keys and one tensor of `size` bytes, a multiple of a MiB: the same MiB of noise."""
    block = os.urandom(1 << 20)
    with path.open("wb") as stream:
        stream.write(_head(keys, {"weight": size // 4}))
        stream.writelines(block for _ in range(size // len(block)))
    return path


def _head(keys: dict[str, str | int | list[str]], lengths: dict[str, int]) -> bytes:
    """Return what stands before the data of F32 tensors of these lengths."""
    body = b"GGUF" + struct.pack("<IQQ", 3, len(lengths), len(keys))
    for key, value in keys.items():
        body += _text(key) + _value(value)
    offset = 0
    for name, length in lengths.items():
        body += _text(name) + struct.pack("<IQ", 1, length) + struct.pack("<IQ", _F32, offset)
        offset += -(-4 * length // 32) * 32
    return body + b"\0" * (-len(body) % 32)


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _value(value: str | int | list[str]) -> bytes:
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_text, value))


def write_merged(folder: Path, hidden: int = 256, context: int = 1024, experts: int = 0) -> Path:
    """Write what stage `merge` publishes: `model/` with a random Qwen3 of one layer whose rows are `hidden` long.

    With `experts`, a mixture of so many, of which each token goes to two.
    """
    import torch
    import transformers

    kinds: Any = transformers  # its classes carry no types
    tokenizer = kinds.PreTrainedTokenizerFast(
        tokenizer_object=tiny_model._tokenizer(), eos_token=tiny_model.TERMINATOR, pad_token=PADDING
    )
    tokenizer.chat_template = tiny_model.TEMPLATE
    torch.manual_seed(5)
    mixture = {"num_experts": experts, "num_experts_per_tok": 2, "moe_intermediate_size": hidden} if experts else {}
    kind = "Qwen3Moe" if experts else "Qwen3"
    config = getattr(kinds, f"{kind}Config")(
        vocab_size=len(tokenizer) + 4,  # rows beyond the tokenizer, as real models have them
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=hidden // 2,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        **mixture,
    )
    getattr(kinds, f"{kind}ForCausalLM")(config).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return folder


def run_job(
    folder: Path, program: str, parameters: dict[str, Any], inputs: dict[str, Path], threads: int = 1
) -> tuple[int, list[dict[str, Any]], Path]:
    """Run a program as the executor does, in a process of its own; return exit code, events, output folder."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the executor sets it: waiting threads sleep
    process = tiny_model.start(tiny_model.write_request(folder, program, parameters, inputs, threads))
    _, printed = process.communicate()
    lines = printed.decode(errors="replace").splitlines()
    events = [json.loads(line) for line in lines if line.startswith('{"event"')]
    if process.returncode not in (0, 10):
        raise AssertionError("\n".join(lines[-30:]))
    return process.returncode, events, folder / "output"


@dataclass(frozen=True)
class Conversion:
    """Output folder and events of one run of stage `convert`."""

    output: Path
    events: list[dict[str, Any]]


def convert_parameters(pre_tokenizer: str | None = PRE_TOKENIZER) -> dict[str, Any]:
    """Return what stage `convert` is told about a model from the hub."""
    return {
        "name": "tiny",
        "base": {"pre_tokenizer": pre_tokenizer, "name": "Tiny-1B", "organization": "example", "version": "f" * 40},
        "data": {},
        "release": {"title": "Tiny Titles", "version": "1.2.0", "author": None, "licence": "CC0-1.0"},
        "recipe_sha256": "a" * 64,
    }


def write_origins(folder: Path) -> dict[str, Path]:
    """Write the two small inputs that name a model's origin: an adapter of one tensor, and the rows' `source.json`."""
    import numpy as np
    from safetensors.numpy import save_file

    adapter, data = folder / "adapter-artifact", folder / "data-artifact"
    for made in (adapter / "adapter", data):
        made.mkdir(parents=True, exist_ok=True)
    metadata = {"base_weights_sha256": "b" * 64}  # one key: safetensors writes several in any order
    save_file({"a": np.zeros(2, "float32")}, adapter / "adapter" / "adapter_model.safetensors", metadata)
    files = [{"name": "rows.jsonl", "sha256": "1" * 64}, {"name": "more.csv", "sha256": "2" * 64}]
    (data / "source.json").write_text(json.dumps({"files": files}), encoding="utf-8")
    return {"adapter": adapter, "data": data}


def convert(folder: Path, merged: Path, vendor: Path, pre_tokenizer: str | None = PRE_TOKENIZER) -> Conversion:
    """Convert a merged model to F16."""
    inputs = {"model": merged, "vendor": vendor, **write_origins(folder)}
    code, events, output = run_job(folder, "convert", convert_parameters(pre_tokenizer), inputs)
    assert code == 0, events[-1]
    return Conversion(output, events)
