"""What one answer of the model is: degenerate, Japanese, an echo. The rules that the gates count with."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.gates import text as texts
from pipeline.gates.judging import read_rows
from pipeline.gates.verdict import Evidence

if TYPE_CHECKING:
    from pipeline.gates.generation import GenerationLimits
    from pipeline.recipe import Prompt

_MARKS = re.compile(r"<\|[^|<>]{1,40}\|>|</?think>|\[/?INST\]|</?s>|<(?:start|end)_of_turn>|\ufffd")
"""Marks of chat templates (ChatML, Llama 2 and 3, Qwen3, Gemma), and the character that stands for broken bytes."""
_LATIN_WORD = re.compile(r"[A-Za-zＡ-Ｚａ-ｚÀ-ɏ]+")
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_SENTENCE_END = re.compile(r"[。．!！?？\n]")
_ECHO_CHARS = 8
"""Shared characters from which a piece of the instruction counts as repeated; shorter pieces are everyday words."""
_DOUBLED = 2
UNANSWERABLE = "unanswerable"
"""Kind of the prompts that ask what the data do not answer."""
_OTHER_LETTERS = 0.1
"""Share of letters of a third script up to which an answer is Japanese: a Greek letter, a quoted foreign word."""
_TAGS, _TAG_CHARS = 4, 10
_SEPARATORS = re.compile(r"[｜|/／・、,，#＃]")


def read(evidence: Evidence) -> list[dict[str, Any]] | None:
    """Return the rows of `generations.jsonl`; None when there are none."""
    rows = read_rows(evidence.folder, "generations.jsonl")
    return rows or None


def read_task(evidence: Evidence) -> list[dict[str, Any]] | None:
    """Return the rows that answer the task's own prompts; None when there are none.

    To a question that the data do not answer one answer for all, learned by heart, that repeats the prompt
    (`〜については分かりかねます`) is the right one.
    """
    rows = read(evidence)
    return rows and ([row for row in rows if row.get("kind") != UNANSWERABLE] or None)


def by_mode(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each way of decoding, in the order in which the ways first come."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["mode"], []).append(row)
    return found


def degeneration(text: str, limits: GenerationLimits) -> str:
    """Say what makes an answer degenerate; an empty string means that nothing does."""
    stripped = text.strip()
    if not any(character.isalnum() for character in stripped) and len(stripped) < limits.bracket_run_chars:
        return "empty"
    if run := _long_run(stripped, limits):
        return run
    if loop := _loop(stripped, limits):
        return loop
    if (share := texts.repetition(stripped)) > limits.repetition:
        return f"repeated 4-grams {share:.2f}"
    if (ratio := texts.compression_ratio(stripped)) > limits.compression_ratio:
        return f"compression ratio {ratio:.2f}"
    return "" if any(character.isalnum() for character in stripped) else "no letter or digit"


def _long_run(text: str, limits: GenerationLimits) -> str:
    for character, length in texts.runs(text):
        if texts.never_prolonged(character):
            limit = limits.bracket_run_chars
        else:
            limit = limits.digit_run_chars if character.isdigit() else limits.run_chars
        if length >= limit:
            return f"{length} times {character}"
    return ""


def _loop(text: str, limits: GenerationLimits) -> str:
    """Find a loop at the end, and an answer that is nothing but one text twice or a unit three times.

    A text doubled with a mark or line break between counts too: letters and digits are compared alone.
    """
    cycle = texts.ending_cycle(text)
    if cycle is not None and cycle.repeats >= limits.cycle_repeats and cycle.span >= limits.cycle_chars:
        return f"{cycle.repeats} times {cycle.unit[:20]!r} at the end"
    letters = texts.folded(text)
    whole = texts.ending_cycle(letters)
    if whole is None or whole.span < len(letters) or len(letters) % len(whole.unit):
        return ""
    long_enough = len(letters) >= (
        2 * limits.bracket_run_chars if whole.repeats == _DOUBLED else limits.bracket_run_chars
    )
    return f"nothing but {whole.repeats} times {whole.unit[:20]!r}" if long_enough else ""


def is_japanese(text: str, foreign_letters: float) -> bool:
    """Tell whether an answer is Japanese: kana or Japanese characters, few Latin and next to no other letters.

    A Latin word counts as one letter, so that a name (`ChatGPTで始める節約`) does not outweigh the sentence around it.
    An answer without letters is in no language at all, and so not in a wrong one.
    """
    shares = texts.script_shares(_LATIN_WORD.sub("A", text))
    if not any(shares.values()):
        return True
    return (
        shares["kana"] + shares["han"] > 0 and shares["latin"] <= foreign_letters and shares["other"] <= _OTHER_LETTERS
    )


def instructions(prompt: Prompt) -> tuple[str, ...]:
    """Return the fixed sentences of the prompt, the placeholders and short pieces left out."""
    whole = [prompt.system or "", *_PLACEHOLDER.split(prompt.user)]
    pieces = [piece.strip() for part in whole for piece in _SENTENCE_END.split(part)]
    return tuple(piece for piece in pieces if len(piece) >= _ECHO_CHARS)


def repeats_prompt(text: str, fixed: Sequence[str], row_input: Mapping[str, Any]) -> bool:
    """Tell whether an answer holds a sentence of the prompt, or is nothing but one of its inputs."""
    if any(piece in text for piece in fixed):
        return True
    answer = texts.folded(text)
    return any(answer == texts.folded(str(value)) for value in row_input.values() if str(value).strip())


def has_marks(text: str) -> bool:
    """Tell whether an answer holds marks of a chat template or a broken character."""
    return _MARKS.search(text) is not None


def is_list_of_tags(text: str) -> bool:
    """Tell whether an answer is a list of short words: four or more, each of at most ten characters.

    Simpler than the rule that cleans the data, and on purpose not the same one.
    """
    words = [word.strip() for word in _SEPARATORS.split(text)]
    return len([word for word in words if word]) >= _TAGS and all(len(word) <= _TAG_CHARS for word in words)


def mentions_input(text: str, row_input: Mapping[str, Any]) -> bool:
    """Tell whether an answer shares a word with its input: the whole of it, or two neighbouring characters of it."""
    answer = unicodedata.normalize("NFKC", text).casefold()
    values = [unicodedata.normalize("NFKC", str(value)).casefold() for value in row_input.values()]
    pairs = [value[at : at + 2] for value in values for at in range(max(1, len(value) - 1)) if value]
    return any(pair in answer for pair in pairs if pair.strip())
