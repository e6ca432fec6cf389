"""Text that has nothing to do with the task, in windows: what a fine-tune is not meant to change.

It is read as plain text, outside the chat template: any base can read it so, one that never saw a template too, and
inside the assistant's turn a tuned model is meant to answer otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from . import tokenizer_facts
from .job import JobError
from .neutral_passages import PASSAGES
from .rendering import encode
from .seedling_corpus import Note, make_corpus
from .seedling_tokenizer import render
from .seedling_words import all_themes

FILE: Final = "neutral.txt"
"""Name of the user's text in the input `neutral`."""
WINDOW_TOKENS: Final = 64
"""Short, so that 2,048 tokens are more than 30 windows: an interval draws windows, and a verdict needs 30."""
STEP_TOKENS: Final = 16
"""A window's tokens are a multiple of it, a passage's rest is dropped: windows of one length are run together."""
NOTES: Final = 400
"""Texts of the seedling's kind among which those without a title's theme are looked for: a quarter of them."""
SEED_OFFSET: Final = 1_000_003
"""Added to the seed of the base's own text: the same kind of text, drawn anew."""
_CHARS_PER_TOKEN: Final = 64
_BLANK_LINES: Final = re.compile(r"\n\s*\n")


def passages(asked: Mapping[str, Any], folder: Path | None) -> list[str]:
    """Return the passages of the user's file (in `folder`), or of the text for the source that the stage names.

    `asked` has `source`: `file`, `built-in`, or `seedling` with the `seed` of the base's text.
    """
    if asked["source"] == "seedling":
        return seedling_notes(asked["seed"])
    if folder is None:
        return split(PASSAGES)
    with (folder / FILE).open(encoding="utf-8-sig") as stream:
        return split(stream.read(asked["tokens"] * _CHARS_PER_TOKEN))


def split(text: str) -> list[str]:
    """Return the passages of a text: what stands between blank lines."""
    return [part.strip() for part in _BLANK_LINES.split(text) if part.strip()]


def seedling_notes(seed: int) -> list[str]:
    """Return notes of the kind that the seedling's base has read, none of them twice, none on a title's theme.

    It knows no other Japanese: on the built-in text its loss would tell of its ignorance, before and after.
    """
    themes = all_themes()
    notes = (one for one in make_corpus(NOTES, seed + SEED_OFFSET) if isinstance(one, Note))
    return ["".join(part for part, _ in render(one)) for one in notes if not any(word in one.text for word in themes)]


def windows(tokenizer: Any, template: str, texts: Iterable[str], tokens: int) -> list[list[int]]:
    """Return windows of `WINDOW_TOKENS` ids or fewer, `tokens` in all at most, the longest first.

    No window spans two passages. Before its ids each has the token that begins a text for this model, where there is
    one: without it Llama and its like predict the first tokens badly. Raises `JobError` for a text of too few tokens.
    """
    start = _beginning(tokenizer, template)
    pieces = (piece for text in texts for piece in _pieces(encode(tokenizer, text), WINDOW_TOKENS))
    found: list[list[int]] = []
    left = tokens
    for piece in pieces:
        if left < len(piece):
            break
        found.append([*start, *piece])
        left -= len(piece)
    if not found:
        advice = f"Name a text with a passage of {STEP_TOKENS} tokens or more, or leave evaluate.neutral out."
        raise JobError("The neutral text holds too few tokens.", where="recipe key evaluate.neutral", advice=advice)
    return sorted(found, key=len, reverse=True)


def _pieces(ids: list[int], longest: int) -> list[list[int]]:
    pieces = (ids[at : at + longest] for at in range(0, len(ids), longest))
    return [piece[: len(piece) // STEP_TOKENS * STEP_TOKENS] for piece in pieces if len(piece) >= STEP_TOKENS]


def _beginning(tokenizer: Any, template: str) -> list[int]:
    """Return what this model expects before a text: what the tokenizer adds, or the BOS that its template writes."""
    added = tokenizer_facts.added_at_start(tokenizer)
    written = tokenizer_facts.writes_bos(tokenizer, template) and tokenizer.bos_token_id is not None
    return added or ([int(tokenizer.bos_token_id)] if written else [])
