"""Conversations for a model that nobody prepared: how they are rendered, and what its answers look like."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from .awkward import AWKWARD
from .job import JobError

Conversation = list[dict[str, str]]

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n"
)
"""What a model without a template of its own is asked in."""


def texts_to_split() -> tuple[str, ...]:
    """Return the texts whose ids tell two tokenizers apart; in NFC, because only one of the two may normalize."""
    return tuple(text for text in AWKWARD if unicodedata.is_normalized("NFC", text))


def rendered(template: str | None, conversation: Conversation, bos: str, eos: str) -> str:
    """Render a conversation with a model's chat template, in a sandbox. Raises `JobError` if that fails."""

    def refuse(message: str) -> None:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = refuse
    try:
        return environment.from_string(template or CHATML).render(
            messages=conversation, add_generation_prompt=True, bos_token=bos, eos_token=eos, enable_thinking=False
        )
    except (TemplateError, TypeError, ValueError) as error:
        advice = "the template is not one of a conversation, or refuses a system prompt: leave --system out"
        raise JobError(
            f"the chat template cannot be rendered: {error}", where="chat template", advice=advice
        ) from error


def answer_rows(
    conversations: Sequence[Conversation],
    prompts: Sequence[Sequence[int]],
    written: Sequence[list[int]],
    terminators: set[int],
    text_of: Callable[[list[int]], str],
    is_special: Callable[[int], bool],
) -> list[dict[str, Any]]:
    """Return the rows of `generations.jsonl`."""
    rows = []
    for number, (conversation, ids) in enumerate(zip(conversations, written, strict=True)):
        stopped = bool(ids) and ids[-1] in terminators
        answer = ids[:-1] if stopped else ids
        rows.append(
            {
                "id": f"prompt-{number + 1}",
                "kind": "unseen",
                "mode": "greedy",
                "prompt": conversation[-1]["content"],
                "prompt_tokens": len(prompts[number]),
                "text": text_of(answer),
                "ids": answer,
                "stopped": "terminator" if stopped else "length",
                "leftover_special": any(map(is_special, answer)),
            }
        )
    return rows
