"""Which files make up a model, and what must hold of them before anything loads them.

Nothing here runs or unpickles what it reads: JSON and the headers of safetensors only.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pipeline.errors import FetchError

ALLOWED = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "model-*-of-*.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
)
"""Files of a model that are fetched, all at its top: configuration, tokenizer, safetensors. No code, no pickle."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}")

PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")

_HEADER_LIMIT = 100_000_000
"""Largest header, in bytes, that the safetensors format allows (its reference reader refuses more)."""

_SIZES_BELOW = 2**63
_DIMENSIONS = 64
"""More than PyTorch computes with; a product of millions of lengths would take hours."""


def allowed(names: Iterable[str]) -> list[str]:
    """Return the names that belong to a model, sorted."""
    plain = [name for name in names if _PLAIN_NAME.fullmatch(name)]  # a star of `fnmatch` stands for slashes as well
    return sorted(name for name in plain if any(fnmatchcase(name, pattern) for pattern in ALLOWED))


def check_names(names: Iterable[str], where: str) -> None:
    """Refuse a list of files that cannot be a model: no configuration, no tokenizer, no safetensors."""
    found = list(names)
    if "config.json" not in found:
        message = "there is no config.json, so this is not a model in Hugging Face layout"
        raise FetchError(message, where=where, advice="name the folder that holds config.json")
    if not any(name.endswith(".safetensors") for name in allowed(found)):
        pickles = sorted(name for name in found if any(fnmatchcase(name, pattern) for pattern in PICKLES))
        message = "the model has no safetensors weights"
        if pickles:
            message += f", only {', '.join(pickles[:3])}, and a pickle can run any code when it is loaded"
        advice = "take a revision with safetensors, or, if you trust it, load it yourself and call save_pretrained"
        raise FetchError(message, where=where, advice=advice)
    if not {"tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt"} & set(found):
        message = "there is no tokenizer (tokenizer.json, tokenizer.model, vocab.json or vocab.txt)"
        raise FetchError(message, where=where, advice="add the tokenizer's files from the model's own repository")


def check_model(folder: Path, where: str, *, quantized: bool = False) -> int:
    """Check the files of a model in `folder`; return its number of stored weights.

    Raises FetchError for code in its configuration, quantized weights (unless `quantized`), a broken
    or cut safetensors file, and shards that do not fit the index. `where` is what the message names.
    """
    check_names([path.name for path in folder.iterdir()], where)
    for path in sorted(folder.glob("*.json")):
        check_configuration(path.name, path.read_bytes(), where, quantized=quantized)
    headers = {path.name: read_header(path, where) for path in sorted(folder.glob("*.safetensors"))}
    _check_index(folder, headers, where)
    return sum(math.prod(entry["shape"]) for header in headers.values() for entry in header.values())


def check_configuration(name: str, content: bytes, where: str, *, quantized: bool) -> None:
    """Refuse a JSON file that names code of its own or, for a base to merge into, quantized weights."""
    try:
        value = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        message = f"{name} is not valid JSON: {error}"
        raise FetchError(message, where=where, advice="fetch the file anew") from error
    found = value if isinstance(value, dict) else {}
    if found.get("auto_map") or found.get("trust_remote_code"):
        message = f"{name} asks for code from the model's repository (auto_map), which is never run"
        raise FetchError(message, where=where, advice="take a model whose architecture transformers itself knows")
    if name == "config.json" and found.get("quantization_config") and not quantized:
        message = "the model is quantized: an adapter is merged into 16-bit weights, and BERTScore wants whole ones"
        raise FetchError(
            message, where=where, advice="name the 16-bit model as base; a 4-bit copy belongs to [base.training]"
        )


def read_header(path: Path, where: str) -> dict[str, Any]:
    """Return the tensors of a safetensors file: name → dtype, shape, data_offsets. Reads the header only.

    Raises FetchError when the header is broken or the file is not as long as the header says.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > min(_HEADER_LIMIT, size - 8):
                message = "header longer than the file"
                raise ValueError(message)
            header = json.loads(stream.read(length))
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        for name, entry in tensors.items():
            _check_numbers(name, [*entry["shape"], *entry["data_offsets"]])
            if len(entry["shape"]) > _DIMENSIONS:
                message = f"{name!r} has {len(entry['shape']):,} dimensions"
                raise ValueError(message)
        end = 8 + length + max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
    except (ValueError, struct.error, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        message = f"{path.name} is not a safetensors file: {error}"
        raise FetchError(message, where=where, advice="fetch the file anew") from error
    if end != size:
        message = f"{path.name} has {size:,} bytes, its header tells of {end:,}: the file was cut or changed"
        raise FetchError(message, where=where, advice="fetch the file anew")
    return tensors


def _check_numbers(name: str, numbers: list[Any]) -> None:
    """Raise ValueError unless all are lengths that a file can have."""
    if any(type(one) is not int or not 0 <= one < _SIZES_BELOW for one in numbers):
        message = f"{name!r} has a shape or a place that no tensor can have"
        raise ValueError(message)


def _check_index(folder: Path, headers: dict[str, dict[str, Any]], where: str) -> None:
    """Check that every tensor of the index is in the shard that the index names."""
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        if sorted(headers) != ["model.safetensors"]:
            message = f"there are shards ({', '.join(sorted(headers)[:3])}) and no model.safetensors.index.json"
            raise FetchError(message, where=where, advice="add the index from the model's own repository")
        return
    listed = json.loads(index.read_text(encoding="utf-8-sig"))
    weight_map = listed.get("weight_map") if isinstance(listed, dict) else None
    if (
        not isinstance(weight_map, dict)
        or not weight_map
        or not all(isinstance(one, str) for one in weight_map.values())
    ):
        message = "model.safetensors.index.json has no weight_map"
        raise FetchError(message, where=where, advice="take the index from the model's own repository")
    for shard in sorted(set(weight_map.values())):
        if shard not in headers:
            message = f"the index names {shard[:200]}, which is missing"
            raise FetchError(message, where=where, advice="fetch every shard that model.safetensors.index.json names")
        named = {tensor for tensor, file in weight_map.items() if file == shard}
        if lost := sorted(named - set(headers[shard])):
            message = f"{shard} lacks {lost[0][:200]}, which the index says it holds"
            raise FetchError(message, where=where, advice="take index and shards from one and the same revision")
