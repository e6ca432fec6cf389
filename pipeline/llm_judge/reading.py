"""How a verdict is read from what the judge answered. What is no verdict is none, never a tie."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pipeline.llm_judge.rubric import WORDINGS

Choice = Literal["first", "second", "tie"]

_CHOICES: Final[Mapping[str, Choice]] = {"A": "first", "B": "second", "tie": "tie"}
REFUSED, CUT_OFF, EMPTY = "refused", "cut off at max_tokens", "empty"
NO_JSON, NO_VERDICT, TWO_VERDICTS = "not the JSON object asked for", "no verdict in the last line", "several verdicts"


@dataclass(frozen=True)
class Reading:
    """What one answer of the judge says: a choice by position, or why there is none."""

    choice: Choice | None
    why: str | None = None


def read(response: Mapping[str, Any], answer_format: str, language: str) -> Reading:
    """Read a response as `responses.py` keeps it."""
    text = response["content"] or ""
    if response["refusal"] or response["finish_reason"] == "content_filter":
        return Reading(None, REFUSED)
    if response["finish_reason"] == "length":
        return Reading(None, CUT_OFF)
    if not text.strip():
        return Reading(None, EMPTY)
    return _of_text(text, language) if answer_format == "text" else _of_json(text)


def _of_json(text: str) -> Reading:
    """Read a JSON object and nothing else, with one `verdict`."""
    try:
        pairs = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return Reading(None, NO_JSON)
    verdicts = [value for name, value in pairs if name == "verdict"] if _is_object(pairs) else []
    if len(verdicts) > 1:
        return Reading(None, TWO_VERDICTS)
    if not verdicts or not isinstance(verdicts[0], str) or verdicts[0] not in _CHOICES:
        return Reading(None, NO_JSON)
    return Reading(_CHOICES[verdicts[0]])


def _is_object(pairs: Any) -> bool:
    """Tell an object, which came as a list of pairs, from a list."""
    return isinstance(pairs, list) and all(isinstance(item, tuple) for item in pairs)


def _of_text(text: str, language: str) -> Reading:
    """Read the last line that is not empty: the word for verdict, a colon, A, B or a tie, and nothing else.

    Width is folded. Lines of that form before it contradict it, unless they say the same.
    """
    wording = WORDINGS[language]
    tie = re.escape(wording.tie_word)
    pattern = re.compile(rf"\**{wording.verdict_word}\**\s*:\s*\**\s*(A|B|tie|{tie})\s*\**[。.]?", re.IGNORECASE)
    lines = [line.strip() for line in unicodedata.normalize("NFKC", text).splitlines() if line.strip()]
    found = [pattern.fullmatch(line) for line in lines]
    said = {match[1].upper() for match in found if match is not None}
    if not found or found[-1] is None:
        return Reading(None, NO_VERDICT)
    if len(said) > 1:
        return Reading(None, TWO_VERDICTS)
    return Reading(_CHOICES.get(found[-1][1].upper(), "tie"))
