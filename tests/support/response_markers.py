"""The texts before a question and before an answer, as `train_on_responses_only` of Unsloth wants to be told them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

QUESTION = "QUESTION"


def response_markers(tokenizer: Any, prompt: Mapping[str, Any]) -> tuple[str, str]:
    """Return (instruction part, response part), read from what the project renders and preflight checks.

    The first is the opening of the user's turn, without the system's turn before it; the second all that stands
    between question and answer, with the empty thoughts that some templates write.
    """
    from pipeline.inside.rendering import prompt_text

    plain = {**prompt, "user": QUESTION, "system": None}
    before, _, after = prompt_text(tokenizer, plain, {}).partition(QUESTION)
    return before, after
