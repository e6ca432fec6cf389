"""Neutral text: nothing of the task is in it, and its windows are many enough for a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.inside import neutral_text
from pipeline.inside.job import JobError
from pipeline.inside.neutral_passages import PASSAGES
from pipeline.inside.seedling_words import all_themes


class Characters:
    """A tokenizer with one token a character, and a BOS where `bos` names one."""

    def __init__(self, bos: str | None = None) -> None:
        self.bos_token = bos
        self.bos_token_id = 1 if bos else None

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Code points, behind 7 where special tokens are asked for."""
        return [*([7] if add_special_tokens and self.bos_token else []), *map(ord, text)]


def test_the_built_in_text_is_of_one_size_and_holds_no_theme() -> None:
    """3 to 5 thousand characters, enough passages for a verdict, some English."""
    passages = neutral_text.split(PASSAGES)
    assert 3000 <= len(PASSAGES) <= 5000
    assert len(passages) >= 36
    assert all(len(one) >= 80 for one in passages)
    assert 4 <= sum(one.isascii() for one in passages) <= 10


def test_the_seedlings_text_is_of_its_kind_and_of_no_theme() -> None:
    """Notes as the base reads them, drawn anew, enough for 30 windows; no title's theme in any."""
    notes = neutral_text.seedling_notes(20260101)
    assert len(notes) >= 60
    assert all(note.startswith("「") and note.endswith("<|endoftext|>") for note in notes)
    assert not [theme for theme in all_themes() if any(theme in note for note in notes)]
    assert notes == neutral_text.seedling_notes(20260101)


def test_no_window_spans_two_passages() -> None:
    """Each is cut from its start in few lengths; a short rest is dropped, a short passage is a window of its own."""
    texts = ["a" * 150, "b" * 20, "c" * 15]
    found = neutral_text.windows(Characters(), "", texts, 2048)
    assert [(len(window), len(set(window))) for window in found] == [(64, 1), (64, 1), (16, 1), (16, 1)]


def test_windows_stop_at_the_number_of_tokens() -> None:
    """One that would not fit is left out."""
    found = neutral_text.windows(Characters(), "", ["a" * 1000], 150)
    assert [len(window) for window in found] == [64, 64]


@pytest.mark.parametrize(
    ("tokenizer", "template", "start"),
    [(Characters("<s>"), "", [7]), (Characters(), "", []), (Characters(), "{{ bos_token }}", [])],
)
def test_a_window_begins_as_a_text_of_the_model_does(tokenizer: Any, template: str, start: list[int]) -> None:
    """With what the tokenizer adds; with nothing for a model without a BOS."""
    (window,) = neutral_text.windows(tokenizer, template, ["x" * 40], 2048)
    assert window == [*start, *map(ord, "x" * 32)]


def test_a_users_text_is_read_in_passages(tmp_path: Path) -> None:
    """Between blank lines, whatever ends them, without a byte order mark."""
    (tmp_path / "neutral.txt").write_bytes("\ufeff一つ目。\r\n続き。\r\n \r\n二つ目。\n".encode())
    found = neutral_text.passages({"source": "file", "tokens": 2048}, tmp_path)
    assert found == ["一つ目。\n続き。", "二つ目。"]


def test_a_text_of_few_tokens_is_told_of() -> None:
    """The key is named."""
    with pytest.raises(JobError, match="too few tokens") as caught:
        neutral_text.windows(Characters(), "", ["短い"], 2048)
    assert caught.value.where == "recipe key evaluate.neutral"
