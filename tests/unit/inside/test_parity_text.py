"""Prompts, awkward strings and windows: chosen fairly, always the same."""

from __future__ import annotations

import unicodedata
from typing import Any

from pipeline.inside import awkward, parity_text, rendering
from tests.support.prepared import row, rows


def test_unseen_prompts_come_first_and_no_theme_is_in_training() -> None:
    """Three quarters unseen where there are as many; each input once."""
    splits = {"train": rows(100, "既知", 50), "validation": rows(100, "検証", 40), "test": rows(100, "試験", 40)}
    chosen = parity_text.choose_prompts(splits, 64)
    assert [kind for kind, _ in chosen] == ["unseen"] * 48 + ["seen"] * 16
    themes = [one["input"]["theme"] for _, one in chosen]
    assert len(set(themes)) == 64
    trained = {one["input"]["theme"] for one in splits["train"]}
    assert [theme in trained for theme in themes] == [False] * 48 + [True] * 16


def test_test_rows_come_before_validation_rows() -> None:
    """Validation themes are used only when the test split has too few."""
    splits = {"train": rows(9, "既知", 9), "validation": rows(9, "検証", 9), "test": rows(3, "試験", 3)}
    kinds = [one["input"]["theme"][:2] for kind, one in parity_text.choose_prompts(splits, 8) if kind == "unseen"]
    assert kinds == ["試験"] * 3 + ["検証"] * 3


def test_a_theme_that_differs_in_width_only_was_seen() -> None:
    """A full-width letter does not make a theme new."""
    splits = {"train": [row("AI", "あ")], "validation": [], "test": [row("ＡＩ ", "い"), row("猫", "う")]}
    chosen = parity_text.choose_prompts(splits, 4)
    assert [(kind, one["input"]["theme"]) for kind, one in chosen] == [("unseen", "猫"), ("seen", "AI")]


def test_the_choice_does_not_depend_on_the_order_of_rows() -> None:
    """The ids decide."""
    splits = {"train": rows(30, "既知", 9), "validation": rows(9, "検証", 9), "test": rows(9, "試験", 9)}
    turned = {name: given[::-1] for name, given in splits.items()}
    assert parity_text.choose_prompts(splits, 12) == parity_text.choose_prompts(turned, 12)


def test_few_rows_give_few_prompts() -> None:
    """Fewer inputs than asked for: each once, no error."""
    splits = {"train": rows(5, "既知", 5), "validation": [], "test": rows(2, "試験", 2)}
    assert [kind for kind, _ in parity_text.choose_prompts(splits, 64)] == ["unseen"] * 2 + ["seen"] * 5


def test_windows_are_full_and_within_the_budget() -> None:
    """The rest is dropped; all there is stays when no window is full."""
    assert parity_text.parity_windows([[1, 2, 3], [4, 5], [6, 7]], tokens=6, window_tokens=3) == [[1, 2, 3], [4, 5, 6]]
    assert parity_text.parity_windows([[1, 2, 3, 4]], tokens=100, window_tokens=3) == [[1, 2, 3]]
    assert parity_text.parity_windows([[1, 2]], tokens=100, window_tokens=3) == [[1, 2]]
    assert parity_text.parity_windows([], tokens=100, window_tokens=3) == []


def test_awkward_strings_cover_what_they_name() -> None:
    """The list holds each kind, no string twice, and nothing that C would end a text at."""
    strings = awkward.AWKWARD
    assert len(set(strings)) == len(strings) >= 50
    assert not any("\0" in text for text in strings)
    assert any(not unicodedata.is_normalized("NFC", text) for text in strings)
    assert any(unicodedata.name(sign, "").startswith("CJK COMPATIBILITY") for text in strings for sign in text)
    assert any(text != text.strip() for text in strings)
    assert any("\u200d" in text for text in strings)
    assert any("<|im_end|>" in text for text in strings)
    assert any(len(text) >= 300 for text in strings)
    assert any("\n\n" in text for text in strings)


def test_token_rows_say_which_texts_are_composed(qwen: Any) -> None:
    """Ids are the tokenizer's; `nfc` marks the texts on which a runtime without normalization must differ."""
    lines = parity_text.token_rows(qwen, [{"text": "a\n", "reference": "か\u3099"}])
    assert [line["kind"] for line in lines[-2:]] == ["prompt", "reference"]
    assert [line["nfc"] for line in lines[-2:]] == [True, False]
    assert all(line["ids"] == rendering.encode(qwen, line["text"]) for line in lines)


def test_token_rows_say_what_a_tokenizer_makes_of_a_text(llama: Any) -> None:
    """SentencePiece puts a space after a special token, which decoding does not take away again."""
    rows = {line["text"]: line for line in parity_text.token_rows(llama, [])}
    assert [text for text, line in rows.items() if "decoded" in line] == [text for text in rows if "</s>" in text]
    assert parity_text.token_row(llama, "prompt", "a</s>\nb")["decoded"] == "a</s> \nb"
