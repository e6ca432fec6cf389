"""The texts that open a question and an answer, by their ids, and what they say a model learns.

What Unsloth's `train_on_responses_only` is told as `instruction_part` and `response_part` (seed 002): it looks for them
in ids that are there already, where `rendering.py` knows from the start what is prompt and what is answer. Two ways to
the same labels, so that one can be held against the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PROBES = (("alpha", "beta"), ("犬。", "（猫）"), ("92", "51"))
"""Questions and answers that begin and end with different signs: what they have in common is the template's."""

_EMPTY_THINKING = re.compile(r"<think>\s*</think>\s*\Z")


@dataclass(frozen=True)
class Markers:
    """The ids that open a user's turn and the assistant's; `reason` says why a template has none that can be found."""

    instruction: tuple[int, ...] = ()
    response: tuple[int, ...] = ()
    reason: str | None = None

    def to_json(self, tokenizer: Any) -> dict[str, Any]:
        """Return both as texts, or the reason why there are none."""
        if self.reason is not None:
            return {"reason": self.reason}
        return {"instruction": tokenizer.decode(self.instruction), "response": tokenizer.decode(self.response)}


def find_markers(tokenizer: Any, prompt: Mapping[str, Any], terminator_id: int) -> Markers:
    """Return the markers of a chat template: ids that every conversation of the recipe has in the same places.

    Read from whole conversations as the tokenizer itself encodes them, with the recipe's system message. The end of the
    turn before and the line break after it belong to no marker. An empty `<think>` block belongs to the response's
    where the recipe's own prompt for generation ends with one, and nowhere else.
    """
    whole = [_conversation(tokenizer, prompt, question, answer) for question, answer in PROBES]
    opened = [_conversation(tokenizer, prompt, question, None) for question, _ in PROBES]
    before, left = _split(whole)
    between = _opening(tokenizer, common_run(left), terminator_id)
    asked = _opening(tokenizer, common_end(opened), terminator_id)
    texts = [_EMPTY_THINKING.sub("", tokenizer.decode(ids)) for ids in (between, asked)]
    response = asked if between and texts[0] == texts[1] else between
    instruction = _opening(tokenizer, before, terminator_id)
    if not instruction or not response:
        return Markers(reason="the chat template opens a turn with nothing that is its own in every conversation")
    if not _ends_where_the_answer_begins(tokenizer, prompt, tokenizer.decode(between)):
        return Markers(reason="a token spans the end of the response marker and the beginning of an answer")
    return Markers(tuple(instruction), tuple(response))


def learned(markers: Markers, ids: Sequence[int], terminator_id: int) -> list[int]:
    """Return a mask over a sample: 1 from behind each response marker up to and with the next terminator.

    Without a terminator it is up to the next instruction marker, or to the end.
    """
    mask = [0] * len(ids)
    questions = places(ids, markers.instruction)
    for place in places(ids, markers.response):
        first = place + len(markers.response)
        limit = min([place for place in questions if place >= first], default=len(ids))
        last = next((at + 1 for at in range(first, limit) if ids[at] == terminator_id), limit)
        mask[first:last] = [1] * (last - first)
    return mask


def places(ids: Sequence[int], wanted: Sequence[int]) -> list[int]:
    """Return every place at which some ids stand within others, one after the other."""
    size, listed = len(wanted), list(wanted)
    return [at for at in range(len(ids) - size + 1) if ids[at] == listed[0] and list(ids[at : at + size]) == listed]


def common_run(lists: Sequence[Sequence[int]]) -> list[int]:
    """Return the longest run of ids that is in all lists; of several the first."""
    first = list(lists[0])
    for size in range(len(first), 0, -1):
        for start in range(len(first) - size + 1):
            run = first[start : start + size]
            if all(places(other, run) for other in lists[1:]):
                return run
    return []


def common_start(lists: Sequence[Sequence[int]]) -> list[int]:
    """Return the ids with which all lists begin."""
    size = next((at for at, ids in enumerate(zip(*lists, strict=False)) if len(set(ids)) > 1), min(map(len, lists)))
    return list(lists[0][:size])


def common_end(lists: Sequence[Sequence[int]]) -> list[int]:
    """Return the ids with which all lists end."""
    return common_start([list(ids)[::-1] for ids in lists])[::-1]


def _split(whole: Sequence[Sequence[int]]) -> tuple[list[int], list[list[int]]]:
    """Return what all conversations begin with, and what is left of each between that and their common end."""
    before, after = common_start(whole), common_end(whole)
    return before, [list(ids[len(before) : len(ids) - len(after)]) for ids in whole]


def _opening(tokenizer: Any, ids: Sequence[int], terminator_id: int) -> list[int]:
    """Return what opens a turn: ids behind the last terminator and behind white space."""
    end = len(ids) - list(ids)[::-1].index(terminator_id) if terminator_id in ids else 0
    first = next((at for at in range(end, len(ids)) if tokenizer.decode([ids[at]]).strip()), len(ids))
    return list(ids[first:])


def _ends_where_the_answer_begins(tokenizer: Any, prompt: Mapping[str, Any], marker: str) -> bool:
    question, answer = PROBES[0]
    text = _conversation(tokenizer, prompt, question, answer, tokenize=False)
    return bool(text.rpartition(question)[2].partition(answer)[0].endswith(marker))


def _conversation(
    tokenizer: Any, prompt: Mapping[str, Any], question: str, answer: str | None, *, tokenize: bool = True
) -> Any:
    """Return the ids, or the text, of a question and its answer; without an answer the prompt for generation."""
    system = [] if prompt.get("system") is None else [{"role": "system", "content": prompt["system"]}]
    turns = [*system, {"role": "user", "content": question}]
    return tokenizer.apply_chat_template(
        turns if answer is None else [*turns, {"role": "assistant", "content": answer}],
        tokenize=tokenize,
        add_generation_prompt=answer is None,
        enable_thinking=prompt.get("enable_thinking", False),
        **({"return_dict": False} if tokenize else {}),
    )
