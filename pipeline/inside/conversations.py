"""Conversations in which a chat template shows its shape, rendered by the tokenizer itself.

`pipeline/releasing/chat_shape.py` makes the release's `Modelfile` of them. Their contents are marks that no template
writes by itself. A template that refuses a conversation (one without room for a system message, say) is told as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import rendering
from .job import JobError

SYSTEM = {"role": "system", "content": "SYS-α"}
TURNS = (
    {"role": "user", "content": "ASK-β"},
    {"role": "assistant", "content": "SAY-γ"},
    {"role": "user", "content": "ASK-δ\nsecond line"},
    {"role": "assistant", "content": "SAY-ε 」"},
    {"role": "user", "content": "ASK-ζ"},
)
SPACED = (
    {"role": "system", "content": " SYS-α\n"},
    {"role": "user", "content": "\n ASK-β "},
    {"role": "assistant", "content": " SAY-γ\n\n"},
    {"role": "user", "content": " ASK-δ\n"},
)
THOUGHTFUL = (
    {"role": "user", "content": "ASK-β"},
    {"role": "assistant", "content": "<think>\nTHINK-η\n</think>\n\nSAY-γ"},
    {"role": "user", "content": "ASK-δ"},
)
DATED = "The chat template writes the day on which it is rendered."
"""Why no conversation of such a template is published: its text would be another tomorrow."""

CONVERSATIONS: dict[str, tuple[dict[str, str], ...]] = {
    "asked": TURNS[:1],
    "answered": TURNS[:2],
    "asked-again": TURNS[:3],
    "long": TURNS,
    "system-asked": (SYSTEM, *TURNS[:1]),
    "system-answered": (SYSTEM, *TURNS[:2]),
    "system-asked-again": (SYSTEM, *TURNS[:3]),
    "system-long": (SYSTEM, *TURNS),
    "spaced": SPACED,
    "thoughtful": THOUGHTFUL,
}
"""Name → turns. Those that end with the user's are also rendered with the opening of the assistant's turn."""


def conversation_rows(tokenizer: Any, prompt: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the lines of conversations.jsonl.

    Each has `name`, `messages`, `opening` (whether the answer's turn is opened), and `text` with its `ids`, or
    `problem`, which says why the template renders none.
    """
    dated = "strftime_now" in str(tokenizer.chat_template)
    rows = []
    for name, turns in CONVERSATIONS.items():
        for opening in (True, False) if turns[-1]["role"] == "user" else (False,):
            line: dict[str, Any] = {"name": name, "messages": list(turns), "opening": opening}
            if dated:
                rows.append({**line, "problem": DATED})
                continue
            try:
                # A public name for it would be another file for the training, which would then run anew.
                text = rendering._template(tokenizer, prompt, list(turns), opening=opening)  # noqa: SLF001
            except JobError as error:
                rows.append({**line, "problem": error.what})
                continue
            rows.append({**line, "text": text, "ids": rendering.encode(tokenizer, text)})
    return rows
