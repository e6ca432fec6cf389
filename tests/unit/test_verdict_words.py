"""Words for what an interval shows."""

from __future__ import annotations

import pytest

from pipeline.inside.scoring import trainings
from pipeline.verdict_words import ONE_TRAINING, of_one_training, word_of


@pytest.mark.parametrize("word", ["better", "worse", "different", "no difference shown", "too few prompts"])
def test_one_training_says_so_as_in_the_evaluation(word: str) -> None:
    """The two worlds share no code, and a reader sees one language."""
    assert of_one_training(word) == trainings.of_one({"verdict": word})["verdict"]
    assert ONE_TRAINING == trainings.ONE


@pytest.mark.parametrize(
    ("verdict", "word"),
    [
        ("better (one training)", "better"),
        ("different, nearer to the references", "different"),
        ("no difference shown", "no difference shown"),
    ],
)
def test_a_verdict_begins_with_its_word(verdict: str, word: str) -> None:
    """What follows says how far it holds."""
    assert word_of(verdict) == word
