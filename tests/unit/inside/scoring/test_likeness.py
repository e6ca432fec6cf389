"""BLEU, chrF and ROUGE of Japanese: seed 003 measured zeros."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

ANSWERS = ["今日はとても良い天気です", "猫が好き"]
REFERENCES = ["今日は良い天気ですね", "猫が大好き"]


@pytest.fixture(scope="module")
def likeness() -> Any:
    """The module; it loads torch."""
    from pipeline.inside.scoring import likeness

    return likeness


def spaced(texts: list[str]) -> list[str]:
    """Return texts as words with spaces."""
    from pipeline.inside.scoring.measures import Text

    return [Text.of(text).spaced for text in texts]


def test_bleu_of_japanese_without_spaces_is_not_zero(likeness: Any) -> None:
    """Whole sentences as single words share nothing; words do."""
    metric = likeness.bleu(japanese=True)
    assert metric.score(metric.counts(ANSWERS, REFERENCES).sum(axis=0)) == 0
    assert metric.score(metric.counts(spaced(ANSWERS), spaced(REFERENCES)).sum(axis=0)) == pytest.approx(34.887838)


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_added_counts_give_the_score_of_the_library(likeness: Any, name: str) -> None:
    """What is resampled is what sacreBLEU's own front door says."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    ours = likeness.bleu(japanese=True) if name == "bleu" else likeness.chrf()
    theirs: Any = BLEU(tokenize="none", force=True) if name == "bleu" else CHRF()
    texts = (spaced(ANSWERS), spaced(REFERENCES))
    counts = ours.counts(*texts)
    assert counts.dtype == np.int64
    assert ours.score(counts.sum(axis=0)) == theirs.corpus_score(texts[0], [texts[1]]).score


def test_the_signature_says_how_words_were_found(likeness: Any) -> None:
    """Who has it can compute the same number."""
    signature = likeness.bleu(japanese=True).signature()
    assert "tok:sudachipy-" in signature
    assert signature.startswith("nrefs:1|case:mixed|eff:no|")
    assert "nc:6|nw:0|space:no" in likeness.chrf().signature()
    assert "tok:13a" in likeness.bleu(japanese=False).signature()


def test_rouge_of_japanese_words_is_not_zero(likeness: Any) -> None:
    """All 5 words and 4 pairs are in the reference, which has one more; tools made for English drop every one."""
    answer, reference = spaced(["今日は良い天気です", "今日は良い天気ですね"])
    assert (len(answer.split()), len(reference.split())) == (5, 6)
    found = likeness.rouge(answer, reference)
    assert found["rouge1"] == pytest.approx(2 * (5 / 5) * (5 / 6) / (5 / 5 + 5 / 6))
    assert found["rouge2"] == pytest.approx(2 * (4 / 4) * (4 / 5) / (4 / 4 + 4 / 5))
    assert found["rougeL"] == found["rouge1"]


def test_rouge_keeps_the_order_of_words(likeness: Any) -> None:
    """Lin 2004, section 3: the sentence with the right order is nearer by ROUGE-L, both are alike by ROUGE-2."""
    reference = "police killed the gunman"
    right, wrong = (likeness.rouge(text, reference) for text in ("police kill the gunman", "the gunman kill police"))
    assert right["rougeL"] == pytest.approx(3 / 4)
    assert wrong["rougeL"] == pytest.approx(2 / 4)
    assert right["rouge2"] == wrong["rouge2"] == pytest.approx(1 / 3)


def test_a_reference_of_one_word_has_no_pairs_to_find(likeness: Any) -> None:
    """Not measured, in place of zero."""
    assert likeness.rouge("東京 です", "東京") == {
        "rouge1": pytest.approx(2 / 3),
        "rouge2": None,
        "rougeL": pytest.approx(2 / 3),
    }


def test_an_empty_answer_scores_zero(likeness: Any) -> None:
    """It was measured: nothing of the reference is in it."""
    assert likeness.rouge("", "東京 です")["rouge1"] == 0
