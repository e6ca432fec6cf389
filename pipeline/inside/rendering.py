"""The one way to make text and token ids of a row, for training, checking and generation alike.

Whatever renders a conversation elsewhere is a second way, and two ways differ by a line break sooner or later
(seed 000 §2.1). The tokenizer's own chat template is the only source of the turns' form.
"""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .job import JobError

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
RENDERING_S = 20.0
"""Processor time that one conversation may take to render; a real one takes a thousandth of a second."""
_EMPTY_THINKING = re.compile(r"<think>\s*</think>\s*\Z")


def fill(template: str, row_input: Mapping[str, Any]) -> str:
    """Replace every `{column}` by the row's value, in one pass; `{{` and `}}` stand for a brace.

    Nothing but a column's exact name is understood: no attribute, index, conversion or format. Values are never
    looked at, so braces in a user's data stay what they are. Raises `JobError` for any other brace or name.
    """

    def replacement(match: re.Match[str]) -> str:
        if match.group() in ("{{", "}}"):
            return match.group()[0]
        name = match.group(1)
        if name is None or name not in row_input:
            raise JobError(
                f"The user template holds {match.group()!r}, which is not an input column.",
                where="recipe key prompt.user",
                advice=f"Columns: {', '.join(sorted(row_input))}. Write {{{{ and }}}} for a brace that is meant.",
            )
        return str(row_input[name])

    return _PLACEHOLDER.sub(replacement, template)


def messages(prompt: Mapping[str, Any], row_input: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the conversation up to the user's turn. `prompt` is the recipe's table `[prompt]`."""
    turns = [{"role": "system", "content": prompt["system"]}] if prompt.get("system") is not None else []
    return [*turns, {"role": "user", "content": fill(prompt["user"], row_input)}]


def prompt_text(tokenizer: Any, prompt: Mapping[str, Any], row_input: Mapping[str, Any]) -> str:
    """Return what the model sees before it answers: the turns so far and the opening of the assistant's turn."""
    return _template(tokenizer, prompt, messages(prompt, row_input), opening=True)


def completion_text(tokenizer: Any, prompt: Mapping[str, Any], row_input: Mapping[str, Any], output: str) -> str:
    """Return what the assistant's turn adds after `prompt_text`, up to and with the terminator.

    A line break that the template writes after the terminator is cut: the model never gets that far. Where the
    generation prompt ends with an empty `<think>` block that the full conversation lacks, the block counts as part
    of the prompt. Raises `JobError` when the template writes the two otherwise, or never writes the terminator.
    """
    turns = [*messages(prompt, row_input), {"role": "assistant", "content": output}]
    full = _template(tokenizer, prompt, turns, opening=False)
    opening = prompt_text(tokenizer, prompt, row_input)
    if not full.startswith(opening):
        opening = _EMPTY_THINKING.sub("", opening)
    if not full.startswith(opening):
        raise JobError(
            "The chat template renders the full conversation otherwise than the prompt for generation.",
            where=f"after {_common(full, opening)!r}",
            advice="Use a chat template whose generation prompt is a prefix of the full conversation.",
        )
    answer, terminator, rest = full[len(opening) :].rpartition(prompt["terminator"])
    if not terminator or rest.strip():
        raise JobError(
            f"The chat template does not end the assistant's turn with {prompt['terminator']!r}.",
            where=f"the turn ends with {full[-40:]!r}",
            advice="Set prompt.terminator to the token with which this template ends a turn.",
        )
    return answer + terminator


def encode(tokenizer: Any, text: str) -> list[int]:
    """Return the ids of rendered text. No special token is added: the template has written them all."""
    return list(tokenizer.encode(text, add_special_tokens=False))


def sample_ids(tokenizer: Any, prompt: Mapping[str, Any], row: Mapping[str, Any]) -> tuple[list[int], list[int]]:
    """Return a training sample: ids, and a mask of the same length that is 1 where a label is learned.

    The sample starts with exactly the ids that generation starts with. The answer gets the ids that it has in its
    place: SentencePiece writes another first token for an answer encoded alone. Only where a token would span the
    seam, so that generation could never meet it, are the two encoded apart.
    """
    question = prompt_text(tokenizer, prompt, row["input"])
    answer = completion_text(tokenizer, prompt, row["input"], row["output"])
    opening, ids = encode(tokenizer, question), encode(tokenizer, question + answer)
    if ids[: len(opening)] != opening:
        ids = opening + encode(tokenizer, answer)
    return ids, [0] * len(opening) + [1] * (len(ids) - len(opening))


def _template(tokenizer: Any, prompt: Mapping[str, Any], turns: list[dict[str, str]], *, opening: bool) -> str:
    """Run the tokenizer's own chat template: in Jinja's sandbox, as transformers does it, and not for ever.

    A template is a program of whoever made the base model, so it may raise anything.
    """
    thinking = prompt.get("enable_thinking", False)
    try:
        with _bounded(RENDERING_S):
            text = tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=opening, enable_thinking=thinking
            )
    except Exception as error:
        raise JobError(
            f"The chat template cannot render a conversation: {str(error) or type(error).__name__}",
            where=f"roles {', '.join(turn['role'] for turn in turns)}",
            advice="Give the base model a chat template that takes these roles (chat_template.jinja in its folder).",
        ) from error
    return str(text)


@contextmanager
def _bounded(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the block after this much processor time. Only in the main thread: others get no signal."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: Any) -> None:
        raise TimeoutError(f"it does not end within {seconds:g} s")

    previous = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)


def _common(first: str, second: str) -> str:
    """Return the last 40 characters that two texts share from their start."""
    length = next((at for at, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), len(second))
    return second[max(0, length - 40) : length]
