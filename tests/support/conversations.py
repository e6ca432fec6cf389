"""Conversations as preflight publishes them, rendered by a tokenizer with another chat template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.inside.conversations import conversation_rows
from tests.support import tiny_model


def vendored_template(vendor_tree: Path, name: str) -> str:
    """Return a chat template of a real model, as llama.cpp's tree holds it."""
    return (vendor_tree / "models" / "templates" / f"{name}.jinja").read_text(encoding="utf-8")


def rendered(template: str, *, thinking: bool = False) -> list[dict[str, Any]]:
    """Return conversations.jsonl for a chat template, by the real template engine of transformers."""
    import transformers

    kinds: Any = transformers  # its classes carry no types
    marks = {"bos_token": "<s>", "eos_token": tiny_model.TERMINATOR, "pad_token": tiny_model.PADDING}
    tokenizer = kinds.PreTrainedTokenizerFast(tokenizer_object=tiny_model._tokenizer(), **marks)
    tokenizer.chat_template = template
    return conversation_rows(tokenizer, {"enable_thinking": thinking})
