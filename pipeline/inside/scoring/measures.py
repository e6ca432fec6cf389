"""Every measure by name, and what is measured of one answer. `docs/evaluation.md` says what each is blind to."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, Literal

from . import abstention, japanese, likeness
from .bootstrap import Direction
from .facts.facts import Facts
from .words import Word, joined, normalized, split

Scores = dict[str, float | None]
Level = Literal["answer", "corpus", "text", "set"]
"""One value for each answer; counts of each answer; the loss of each window of text; one value for all answers."""

NOT_JAPANESE: Final = "the recipe's language is not Japanese (clean.language)"


@dataclass(frozen=True)
class Measure:
    """A measure: its unit, which direction is better (empty: neither), and how it comes about.

    `of_text` says that it describes a text by itself, so that references can be measured too; `unanswerable` that it
    is of the answers to questions that the data do not answer.
    """

    unit: str
    better: Direction
    level: Level
    of_text: bool = False
    japanese: bool = False
    unanswerable: bool = False


MEASURES: Final[dict[str, Measure]] = {
    "bleu": Measure("0 to 100", "higher", "corpus"),
    "chrf": Measure("0 to 100", "higher", "corpus"),
    "rouge1": Measure("F1, 0 to 1", "higher", "answer"),
    "rouge2": Measure("F1, 0 to 1", "higher", "answer"),
    "rougeL": Measure("F1, 0 to 1", "higher", "answer"),
    "bertscore": Measure("F1, 0 to 1", "higher", "answer"),
    "exact_match": Measure("share of answers", "higher", "answer"),
    "loss": Measure("nats per token", "lower", "text"),
    "perplexity": Measure("exp(loss)", "lower", "text"),
    "forgetting_kl": Measure("nats per token", "lower", "text"),
    "neutral_loss": Measure("nats per token", "lower", "text"),
    "neutral_perplexity": Measure("exp(loss)", "lower", "text"),
    "training_copies": Measure("share of answers", "lower", "answer"),
    "fact_accuracy": Measure("share of the facts asked for", "higher", "answer"),
    "wrong_facts": Measure("share of answers", "lower", "answer"),
    "abstention": Measure("share of answers", "higher", "answer", japanese=True, unanswerable=True),
    "false_abstention": Measure("share of answers", "lower", "answer", japanese=True),
    "empty": Measure("share of answers", "lower", "answer"),
    "unfinished": Measure("share of answers", "lower", "answer", of_text=True, japanese=True),
    "english_mixed": Measure("share of answers", "lower", "answer", japanese=True),
    "length": Measure("characters", "", "answer", of_text=True),
    "keigo": Measure("share of words", "", "answer", of_text=True, japanese=True),
    "teineigo": Measure("share of words", "", "answer", of_text=True, japanese=True),
    "character_variety": Measure("distinct characters / characters", "", "answer", of_text=True),
    "kana": Measure("share of letters", "", "answer", of_text=True),
    "kanji": Measure("share of letters", "", "answer", of_text=True),
    "latin": Measure("share of letters", "", "answer", of_text=True),
    "distinct1": Measure("distinct words / words", "", "set", of_text=True),
    "distinct2": Measure("distinct pairs / pairs of words", "", "set", of_text=True),
    "self_bleu": Measure("0 to 100", "", "set", of_text=True),
}
"""In the order of the tables."""


@dataclass(frozen=True)
class Text:
    """A text as it is scored, with its words."""

    text: str
    words: tuple[Word, ...]

    @classmethod
    def of(cls, raw: str) -> Text:
        """Normalize and split a text."""
        text = normalized(raw)
        return cls(text, split(text))

    @property
    def surfaces(self) -> tuple[str, ...]:
        """The words as they are written."""
        return tuple(word.surface for word in self.words)

    @property
    def spaced(self) -> str:
        """The words with spaces between them."""
        return joined(self.words)


def of_text(text: Text, *, cut_off: bool, in_japanese: bool) -> Scores:
    """Return what a text is by itself; None where it holds nothing to measure."""
    found: Scores = {
        "length": len(text.text),
        "character_variety": japanese.character_variety(text.text),
        **japanese.scripts(text.text),
    }
    if in_japanese:
        found["keigo"], found["teineigo"] = japanese.politeness(text.words)
        found["unfinished"] = float(japanese.is_unfinished(text.text, text.words, cut_off=cut_off))
    return found


def of_answer(
    answer: Text, reference: Text, prompt: Mapping[str, Any], trained: AbstractSet[str], *, in_japanese: bool
) -> Scores:
    """Return what an answer is beside its reference, its prompt, and the training answers (`trained`, folded)."""
    found: Scores = {
        **likeness.rouge(answer.spaced, reference.spaced),
        "exact_match": float(answer.text == reference.text),
        "training_copies": float((folded(answer.text) or None) in trained),
        "empty": float(not answer.text),
        **of_facts(answer, Facts.of(prompt.get("facts"))),
    }
    if in_japanese:
        given = f"{normalized(prompt['text'])} {reference.text}"
        # A reference that abstains itself (`公開されておりません`) makes it the right answer.
        right = abstention.abstains(reference.text)
        found["false_abstention"] = None if right else float(abstention.abstains(answer.text))
        found["english_mixed"] = float(japanese.mixes_english(answer.text, given))
    return found


def of_facts(answer: Text, facts: Facts) -> Scores:
    """Return how right an answer is by its question's facts; None without any."""
    accuracy = facts.accuracy(answer.text)
    return {"fact_accuracy": accuracy, "wrong_facts": None if accuracy is None else float(accuracy < 1)}


def folded(text: str) -> str:
    """Return what two texts must share to count as the same: NFKC, case folded, letters and digits only."""
    return "".join(one for one in unicodedata.normalize("NFKC", text).casefold() if one.isalnum())
