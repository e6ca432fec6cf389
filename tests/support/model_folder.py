"""The files of a model too small to be of any use, with the right form: what fetching looks at."""

from __future__ import annotations

import json
import struct
from pathlib import Path


def safetensors(tensors: dict[str, int], *, fill: bytes = b"\x3c") -> bytes:
    """Return a safetensors file: each name with its number of one-byte-pair (F16) weights."""
    header: dict[str, object] = {}
    offset = 0
    for name, count in tensors.items():
        header[name] = {"dtype": "F16", "shape": [count], "data_offsets": [offset, offset + 2 * count]}
        offset += 2 * count
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + fill * offset


def model_files(*, weights: int = 8) -> dict[str, bytes]:
    """Return the files of one model, name → bytes."""
    return {
        "config.json": b'{"model_type": "qwen3"}',
        "tokenizer.json": b'{"version": "1.0"}',
        "tokenizer_config.json": b'{"eos_token": "<|im_end|>"}',
        "model.safetensors": safetensors({"a.weight": weights, "b.weight": weights}),
        "README.md": b"# A model",
        "modeling_own.py": b"raise SystemExit",
        "pytorch_model.bin": b"pickle",
    }


def write_folder(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files into a new folder and return it."""
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder
