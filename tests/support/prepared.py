"""Prepared rows, a recipe and rules for samples, as the tests before training need them."""

from __future__ import annotations

import hashlib
from typing import Any

from pipeline.inside import sample_checks
from pipeline.recipe import Recipe

PROMPT: dict[str, Any] = {
    "system": "あなたは人気記事タイトルを生成する専門AIです。",
    "user": "「{theme}」に関する記事タイトルを1つ生成してください。",
    "terminator": "<|im_end|>",
    "enable_thinking": False,
}
IM_END, END_OF_TEXT = 151645, 151643
ROWS = {"train": 800, "validation": 100, "test": 100}


def row(theme: str, output: str) -> dict[str, Any]:
    """A prepared row."""
    digest = hashlib.sha256(f"{theme}\n{output}".encode()).hexdigest()[:16]
    return {
        "id": digest,
        "source": "rows.jsonl",
        "line": 1,
        "category": None,
        "group": None,
        "input": {"theme": theme},
        "output": output,
    }


def rows(count: int, theme: str, themes: int) -> list[dict[str, Any]]:
    """Prepared rows over a few themes."""
    return [row(f"{theme}{at % themes}", f"【{theme}】{at}日で変わった朝の話") for at in range(count)]


def recipe(**tables: Any) -> Recipe:
    """The seedling's settings, with a scale of 2 and small parity text."""
    settings: dict[str, Any] = {
        "name": "test",
        "description": "for tests",
        "base": {"source": "seedling"},
        "data": {"source": "seedling"},
        "prompt": PROMPT,
        "parity": {"tokens": 2048, "window_tokens": 128},
        "train": {"lora": {"rslora": False}},
    }
    return Recipe.model_validate({**settings, **tables})


def rules(**changes: Any) -> sample_checks.Rules:
    """The rules for Qwen's samples."""
    given: dict[str, Any] = {
        "prompt": PROMPT,
        "terminator_id": IM_END,
        "special_texts": ("<|im_start|>", "<|im_end|>", "<|endoftext|>"),
        "max_seq_tokens": 512,
    }
    return sample_checks.Rules(**{**given, **changes})
