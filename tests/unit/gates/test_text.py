"""The measures on text, on real shapes of good and broken answers and on whatever hypothesis makes up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.gates import text
from pipeline.gates.text import Cycle
from tests.support.healthy_build import THEMES, title

JAPANESE = st.text(st.sampled_from("あいうえおかきくけこ日本語題名の本を読む、。！？「」ー…123AI"), max_size=200)


def test_repetition_of_a_doubled_title_is_high() -> None:
    """Half of the 4-grams come twice, but for those across the seam."""
    assert text.repetition("忙しい朝でも5分で完成！時短メイクの革命テクニック" * 2) > 0.4


def test_repetition_of_titles_is_low() -> None:
    """All made-up titles stay under a fifth of the limit."""
    assert max(text.repetition(title(theme, shape)) for theme in THEMES for shape in range(7)) < 0.05


def test_repetition_leaves_prolonged_marks_to_the_run_rule() -> None:
    """A row of dots or a long vowel is style."""
    assert text.repetition("そして……………誰もいなくなったーーーー") == 0


@given(JAPANESE)
def test_repetition_is_a_share(words: str) -> None:
    """It lies between 0 and 1 for any text."""
    assert 0 <= text.repetition(words) < 1


@given(st.text(st.sampled_from("日本語題名本読春夏秋冬"), min_size=6, max_size=60))
def test_doubling_never_lowers_repetition(words: str) -> None:
    """A text written twice repeats at least as much as once, as long as it stays in one window."""
    assert text.repetition(words[:30] * 2) >= text.repetition(words[:30])


def test_long_prose_is_not_repetitive() -> None:
    """Length alone does not raise the measures: they look at windows."""
    prose = "".join(title(theme, at) + "。" for at, theme in enumerate(THEMES))
    assert len(prose) > 1000
    assert text.repetition(prose) < 0.25
    assert text.compression_ratio(prose) < 1.45


def test_compression_ratio_of_a_doubled_title_is_high() -> None:
    """Over the limit of 1.45, while the single title is under it."""
    single = "忙しい朝でも5分で完成！時短メイクの革命テクニック"
    assert text.compression_ratio(single) < 1.45 < text.compression_ratio(single * 2)


def test_windows_cover_the_whole_text() -> None:
    """Every character is in a window, the last one too."""
    words = "".join(chr(0x4E00 + at) for at in range(500))
    assert set("".join(text.windows(words))) == set(words)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("ABC", None),
        ("「副業」」」」", Cycle("」", 4, 4)),
        ("話の話の話の", Cycle("話の", 3, 6)),
        ("終わらない話の話の話の話", Cycle("話の", 3, 7)),
    ],
)
def test_ending_cycle(words: str, expected: Cycle | None) -> None:
    """The unit that repeats at the end, an incomplete last one included."""
    assert text.ending_cycle(words) == expected


@given(st.text("あいうえお", min_size=1, max_size=8), st.integers(2, 6), JAPANESE)
def test_ending_cycle_finds_any_planted_cycle(unit: str, repeats: int, before: str) -> None:
    """Whatever stands before, the repeated end is found in its full length or more."""
    found = text.ending_cycle(before + unit * repeats)
    assert found is not None
    assert found.span >= len(unit) * repeats


def test_runs_rebuild_the_text() -> None:
    """Runs are the text, cut where the character changes."""
    assert list(text.runs("ああb」」」")) == [("あ", 2), ("b", 1), ("」", 3)]
    assert list(text.runs("")) == []


@pytest.mark.parametrize("character", list("」⌉業GＧ"))
def test_never_prolonged(character: str) -> None:
    """Brackets, Chinese characters and capitals are never repeated by a writer."""
    assert text.never_prolonged(character)


@pytest.mark.parametrize("character", list("ー！…。あア0X○w〜"))
def test_prolonged(character: str) -> None:
    """Marks, kana, digits, placeholders and laughter are."""
    assert not text.never_prolonged(character)


def test_distinct_share() -> None:
    """Three of the four 2-grams of both texts are distinct."""
    assert text.distinct_share(["abc", "abd"], 2) == pytest.approx(3 / 4)
    assert text.distinct_share(["a"], 2) is None


def test_script_shares_of_a_mixed_title() -> None:
    """Digits and marks are no letters; a full-width letter is Latin."""
    shares = text.script_shares("AIで節約！2024Ｘ")
    assert shares == {
        "kana": pytest.approx(1 / 6),
        "han": pytest.approx(2 / 6),
        "latin": pytest.approx(3 / 6),
        "other": 0,
    }


def test_simplified_chinese_is_another_script() -> None:
    """Characters that Japanese does not write are not counted as Japanese; those of JIS X 0213 are."""
    assert text.script_shares("这们")["other"] == 1
    assert text.script_shares("節約𠮟々")["han"] == 1


@given(st.text(max_size=60))
def test_script_shares_add_up(words: str) -> None:
    """They add up to one, or to nothing where there is no letter."""
    assert sum(text.script_shares(words).values()) == pytest.approx(1 if any(one.isalpha() for one in words) else 0)


def test_folded_ignores_width_case_and_marks() -> None:
    """What is left is letters and digits in one form."""
    assert text.folded("【ＡＩ】で 節約！") == text.folded("aiで節約")


def test_likeness_of_equal_and_of_foreign_texts() -> None:
    """1 for the same text, 0 without a shared character."""
    assert text.likeness("節約の始め方", "節約の始め方") == pytest.approx(1)
    assert text.likeness("節約", "abc") == 0
    assert text.likeness("", "節約") == 0


def test_likeness_prefers_the_nearer_text() -> None:
    """A title that shares its middle is nearer than one that shares a particle."""
    reference = "節約を1年続けてわかったこと"
    assert text.likeness("節約を3年続けてわかった話", reference) > text.likeness("猫の話をすること", reference) > 0


def test_shape_likeness() -> None:
    """1 for the same text, 0 without a shared character, and more for a title of the same template."""
    wanted = text.shape("〇を1年続けてわかったこと")
    assert text.shape_likeness(wanted, wanted) == 1
    assert text.shape_likeness(wanted, text.shape("abc")) == 0
    assert text.shape_likeness(text.shape(""), wanted) == 0
    nearer = text.shape_likeness(wanted, text.shape("〇を3年続けてわかった話"))
    assert nearer > text.shape_likeness(wanted, text.shape("〇です。")) > 0
