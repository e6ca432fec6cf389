"""How different the answers are."""

from __future__ import annotations

import pytest

from pipeline.inside.scoring.variety import SELF_BLEU_ANSWERS, distinct, self_bleu


def test_distinct_counts_over_all_texts() -> None:
    """Two texts of two words, three of them distinct; two pairs, both distinct."""
    assert distinct([["朝", "の"], ["夜", "の"]], 1) == pytest.approx(3 / 4)
    assert distinct([["朝", "の"], ["夜", "の"]], 2) == 1


def test_without_words_there_is_no_variety() -> None:
    """None, not 0."""
    assert distinct([[]], 1) is None
    assert self_bleu([["朝"], []]) is None


def test_equal_answers_have_the_highest_self_bleu() -> None:
    """And answers that share nothing the lowest."""
    assert self_bleu([["朝", "の", "時間", "が", "好き"]] * 3) == pytest.approx(100)
    assert self_bleu([["朝", "活"], ["節", "約"]]) == 0


def test_self_bleu_looks_at_the_first_answers_only() -> None:
    """Its cost grows with the square of their number."""
    same, other = [["朝", "の", "時間"]] * SELF_BLEU_ANSWERS, [["節約", "を", "した"]] * 5
    assert self_bleu([*same, *other]) == pytest.approx(self_bleu(same))
