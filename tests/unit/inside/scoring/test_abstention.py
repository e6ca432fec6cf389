"""Which answers abstain."""

from __future__ import annotations

import pytest

from pipeline.inside.scoring.abstention import abstains
from pipeline.inside.scoring.words import normalized
from tests.support import abstentions


@pytest.mark.parametrize("text", abstentions.TUNED_ABSTAINS)
def test_an_answer_that_knows_nothing_abstains(text: str) -> None:
    """The sentences that the rules were made on."""
    assert abstains(normalized(text))


@pytest.mark.parametrize("text", abstentions.TUNED_ANSWERS)
def test_an_answer_is_none_nor_is_a_guess_a_title_a_condition_or_a_quote(text: str) -> None:
    """Whether it is right is another question."""
    assert not abstains(normalized(text))


def test_the_rules_hold_on_sentences_that_they_were_not_made_on() -> None:
    """At least 30 of each kind; docs/evaluation.md gives the figures: precision 1.00, recall 0.97."""
    right = [text for text in abstentions.HELD_OUT_ABSTAINS if abstains(normalized(text))]
    wrong = [text for text in abstentions.HELD_OUT_ANSWERS if abstains(normalized(text))]
    assert min(len(abstentions.HELD_OUT_ABSTAINS), len(abstentions.HELD_OUT_ANSWERS)) >= 30
    assert len(right) / (len(right) + len(wrong)) >= 0.97
    assert len(right) / len(abstentions.HELD_OUT_ABSTAINS) >= 0.95


def test_no_sentence_stands_in_both_halves() -> None:
    """What was tuned on says nothing of how far the rules reach."""
    tuned = {*abstentions.TUNED_ABSTAINS, *abstentions.TUNED_ANSWERS}
    assert not tuned & {*abstentions.HELD_OUT_ABSTAINS, *abstentions.HELD_OUT_ANSWERS}


@pytest.mark.parametrize("text", ["", "……", "「わかりません」", "知" * 300])
def test_what_is_no_sentence_raises_nothing(text: str) -> None:
    """An answer that is nothing but a quote is looked at without its quotes."""
    assert abstains(normalized(text)) is ("わかりません" in text)
