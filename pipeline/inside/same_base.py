"""Is the 4-bit model that training loads the 16-bit model that the adapter is merged into? From their files.

Settings, tokenizer files, and some rows of some weights (`base_distance.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import base_distance
from .tokenizer_facts import settings_of, text_config

SHAPE_KEYS = (
    "architectures",
    "model_type",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "vocab_size",
    "max_position_embeddings",
    "rope_theta",
    "rms_norm_eps",
    "tie_word_embeddings",
)
"""What two copies of one model cannot differ in, whatever their weights are stored as."""

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model")


def base_facts(base: Path, training_base: Path | None, *, load_in_4bit: bool) -> dict[str, Any]:
    """Return what the bases' files say about themselves.

    `quantization` is the method that `base` is stored in, None for 16 or 32 bits. `training` is None when the
    training loads `base` itself; otherwise it names the settings and tokenizer files in which the copy differs, and
    how far its weights are.
    """
    config = settings_of(base, "config.json")
    return {
        "architecture": next(iter(config.get("architectures") or []), None),
        "quantization": quantization(config),
        "load_in_4bit": load_in_4bit,
        "training": None if training_base is None else _copy_facts(base, training_base),
    }


def quantization(config: Mapping[str, Any]) -> str | None:
    """Return the quantization method that a config.json names, or None."""
    found = config.get("quantization_config")
    return str(found.get("quant_method", "unknown")) if isinstance(found, Mapping) else None


def _copy_facts(base: Path, copy: Path) -> dict[str, Any]:
    ours, theirs = settings_of(base, "config.json"), settings_of(copy, "config.json")
    return {
        "quantization": quantization(theirs),
        "settings_differ": [key for key in SHAPE_KEYS if _setting(ours, key) != _setting(theirs, key)],
        "tokenizer_files_differ": [name for name in TOKENIZER_FILES if _digest(base / name) != _digest(copy / name)],
        "weights": base_distance.sampled(base, copy),
    }


def _setting(config: dict[str, Any], key: str) -> Any:
    return text_config(config).get(key, config.get(key))


def _digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
