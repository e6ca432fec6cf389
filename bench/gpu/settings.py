"""The settings that are measured: those of the recipe `noteai-title`, read without what a bare machine lacks."""

from __future__ import annotations

import tomllib
from typing import Any

from bench.gpu.shapes import Shape
from bench.table import REPOSITORY

RECIPE = REPOSITORY / "pipeline" / "recipes" / "noteai-title.toml"

# What the recipe leaves to its model (pipeline/recipe.py), which needs pydantic. A unit test holds both together.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "prompt": {"enable_thinking": False},
    "train": {"double_quantization": True, "attention": "sdpa", "weight_decay": 0.0, "seed": 42},
    "generate": {"prompts": 64, "max_new_tokens": 64, "temperature": 0.7, "top_p": 0.9, "seed": 7},
    "parity": {"tokens": 50_000, "window_tokens": 256},
    "merge": {"onto": "closer"},
}
NEUTRAL_TOKENS = 2048
TRAINED_ROWS = 800
"""Rows of a training to which checks are compared: of 1,000 clean rows, the share of the recipe's train split."""

PROGRAMS = {
    "cuda": {"trl": "train_trl_cuda", "unsloth": "train_unsloth"},
    "cpu": {"trl": "train", "unsloth": "train_unsloth"},
}
"""Device → trainer → the pipeline's program. On a processor TRL trains on the same 4-bit values, not packed."""

_TRAINERS = {"train": "trl", "train_trl_cuda": "trl-cuda", "train_unsloth": "unsloth"}


def tables() -> dict[str, dict[str, Any]]:
    """Return the recipe's tables `prompt`, `train`, `generate`, `parity` and `merge`, complete."""
    recipe = tomllib.loads(RECIPE.read_text(encoding="utf-8"))
    return {name: {**defaults, **recipe.get(name, {})} for name, defaults in _DEFAULTS.items()}


def language() -> str:
    """Return the language of the recipe's rows."""
    return str(tomllib.loads(RECIPE.read_text(encoding="utf-8"))["clean"]["language"])


def train_table(shape: Shape, program: str) -> dict[str, Any]:
    """Return the recipe's table `[train]` for as many steps as are measured, evaluated once at their end.

    A processor has no 8-bit AdamW, and computes bfloat16 by way of float32.
    """
    table = tables()["train"]
    changed: dict[str, Any] = {"trainer": _TRAINERS[program], "eval_every_steps": shape.steps}
    if program == "train":
        changed |= {"optimizer": "adamw_torch", "precision": "float32"}
    if shape.row_tokens < table["max_seq_tokens"]:
        changed["max_seq_tokens"] = shape.row_tokens
    return {**table, **changed}


def rows_of_a_step() -> int:
    """Return how many rows one optimizer step learns from."""
    train = tables()["train"]
    return int(train["batch_size"] * train["accumulation"])
