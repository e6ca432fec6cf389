"""What Japanese an answer is."""

from __future__ import annotations

import pytest

from pipeline.inside.scoring import japanese
from pipeline.inside.scoring.words import Word, normalized, split


def words(text: str) -> tuple[Word, ...]:
    """Return the words of a text."""
    return split(normalized(text))


def test_the_rate_of_seed_004_comes_out() -> None:
    """Its good answer has one です in 17 words: 5.88 %."""
    answer = "該当する会社名については、三陽商会の会社名は「三陽商会」です。"
    keigo, teineigo = japanese.politeness(words(answer))
    assert teineigo == pytest.approx(0.0588, abs=1e-4)
    assert keigo == 0


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("社長がおっしゃる", 1),
        ("お願いする", 1),
        ("ご案内いたします", 2),
        ("御社へ伺う", 2),
        ("お茶を飲む", 0),
        ("ご飯を食べる", 0),
        ("彼が言う", 0),
    ],
)
def test_keigo_is_respect_and_humility(text: str, count: int) -> None:
    """`お茶` only sounds nice; `お願いする` is humble."""
    keigo, _ = japanese.politeness(words(text))
    assert keigo is not None
    assert round(keigo * len(words(text))) == count


def test_an_answer_without_words_has_no_rate() -> None:
    """Nothing to measure is not impolite."""
    assert japanese.politeness(words("……！")) == (None, None)


@pytest.mark.parametrize(
    ("text", "unfinished"),
    [
        ("独立にかけた会社員の結論", False),
        ("なぜ三日坊主になるのか？", False),
        ("朝活を始めて", False),
        ("【失敗談】独立の話", False),
        ("～節約のすすめ～", False),
        ("朝の時間を", True),
        ("できること、", True),
        ("「節約", True),
        ("毎朝走っ", True),
    ],
)
def test_a_sentence_that_breaks_off_is_unfinished(text: str, unfinished: bool) -> None:  # noqa: FBT001 - a table
    """A title may end in a noun."""
    assert japanese.is_unfinished(normalized(text), words(text), cut_off=False) is unfinished


def test_an_answer_cut_by_the_budget_is_unfinished() -> None:
    """However whole it looks."""
    assert japanese.is_unfinished("独立の話", words("独立の話"), cut_off=True)


@pytest.mark.parametrize(
    ("text", "given", "mixed"),
    [
        ("会社はestablishedされた", "会社はいつ設立されましたか", True),
        ("ChatGPTで始める", "ChatGPTについて", False),
        ("DIYで作るA4の棚", "棚", False),
        ("設立は1899年です", "いつ", False),
    ],
)
def test_english_of_its_own_is_found(text: str, given: str, mixed: bool) -> None:  # noqa: FBT001 - a table
    """Seed 004: 英語混在. Names that the question gives, and abbreviations, are none."""
    assert japanese.mixes_english(text, given) is mixed


def test_variety_is_of_characters() -> None:
    """Seed 004: 文字多様性."""
    assert japanese.character_variety("ああい う") == pytest.approx(3 / 4)
    assert japanese.character_variety(" ") is None


def test_scripts_are_shares_of_the_letters() -> None:
    """Digits and marks are none."""
    assert japanese.scripts("朝活Aの！10") == {"kana": 1 / 4, "kanji": 2 / 4, "latin": 1 / 4}
    assert japanese.scripts("10！") == {"kana": None, "kanji": None, "latin": None}
