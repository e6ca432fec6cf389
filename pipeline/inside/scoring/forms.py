"""One form of the model, scored; and two of them held against each other. What is not measured has a reason."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from . import abstention, bootstrap, likeness, text_loss, variety
from .measures import MEASURES, NOT_JAPANESE, Scores, Text, of_answer, of_text
from .words import normalized

DIGITS: Final = 6
NO_FACTS: Final = "the recipe names no columns of facts (columns.must_contain, columns.must_not_contain)"
NO_QUESTIONS: Final = "the recipe names no questions that the data do not answer (evaluate.unanswerable)"
WITHOUT_FACTS: Final = "no held-out prompt has facts"
NO_PROMPTS: Final = "there is no held-out prompt"
NOTHING_TO_MEASURE: Final = "no answer holds what it measures (letters, words, or a reference that is long enough)"
LEAST_LOSS: Final = 0.01
"""Nats per token. Two files of one model read the same text so alike that an interval shows a rounding error; this is
what `parity.merged` warns of (`merged_loss_warn`)."""
PERPLEXITIES: Final = {"perplexity": "loss", "neutral_perplexity": "neutral_loss"}
"""Measures that are the exponential of another one."""
SET_ONLY: Final = "no interval: a resample repeats answers, and repeated answers count as less varied"


@dataclass(frozen=True)
class Asked:
    """The held-out prompts with their references, and what an answer must not copy (folded training answers)."""

    prompts: Sequence[Mapping[str, Any]]
    references: Sequence[Text]
    trained: AbstractSet[str]
    in_japanese: bool
    unasked: Mapping[str, str] = field(default_factory=dict)
    """Measures that were not asked for, and why: they have no value."""

    def corpus(self) -> dict[str, likeness.Corpus]:
        """Return the corpus measures by name."""
        return {"bleu": likeness.bleu(japanese=self.in_japanese), "chrf": likeness.chrf()}


Drawn = tuple[bootstrap.Values, int]


@dataclass(frozen=True)
class Form:
    """What one form answered, scored: each answer by itself, and each measure over all answers.

    `why` holds the reason for each value that is None. `drawn` holds measures of many answers, or of windows of text,
    in every resample, and how many of these were drawn from.
    """

    scores: Sequence[Scores]
    values: Mapping[str, float | None]
    why: Mapping[str, str]
    drawn: Mapping[str, Drawn] = field(default_factory=dict)


def score(
    asked: Asked,
    rows: Sequence[Mapping[str, Any]],
    windows: Mapping[str, bootstrap.Counts | str],
    more: Mapping[str, Sequence[float | None] | str],
) -> Form:
    """Score a form by its greedy answers, in the order of the prompts, and by windows of text.

    `windows` holds measures of text, as sums and tokens of each window; `more` holds other measures of answers, as
    the score of each. In place of what could not be measured stands the reason.
    """
    texts = [Text.of(row["text"]) for row in rows]
    told = {name: found for name, found in more.items() if not isinstance(found, str)}
    scores: list[Scores] = [
        {
            **of_text(text, cut_off=row["stopped"] != "terminator", in_japanese=asked.in_japanese),
            **of_answer(text, reference, prompt, asked.trained, in_japanese=asked.in_japanese),
            **dict.fromkeys(asked.unasked),
            **{name: found[at] for name, found in told.items()},
        }
        for at, (text, row, prompt, reference) in enumerate(
            zip(texts, rows, asked.prompts, asked.references, strict=True)
        )
    ]
    values, drawn = _corpus(asked, texts)
    values |= _of_all(texts, scores)
    why = {name: reason for name, reason in more.items() if isinstance(reason, str)}
    for name, found in windows.items():
        names = [name, *(other for other, loss in PERPLEXITIES.items() if loss == name)]
        if isinstance(found, str):
            values |= dict.fromkeys(names)
            why |= dict.fromkeys(names, found)
        else:
            values |= _of_text(names, found)
            drawn |= _drawn_of_text(names, found)
    return Form(scores, values, {**_reasons(asked, values), **why}, drawn)


def _of_text(names: Sequence[str], windows: bootstrap.Counts) -> Scores:
    """Return a measure of text, the first of the names, and its exponential under the others."""
    mean = text_loss.mean(windows)
    found: Scores = {names[0]: mean}
    return found | {other: text_loss.perplexity(mean) for other in names[1:]}


def _drawn_of_text(names: Sequence[str], windows: bootstrap.Counts) -> dict[str, Drawn]:
    """Return the same in every resample of the windows."""
    means = text_loss.means(windows)
    perplexities = np.array([text_loss.perplexity(one) for one in means.tolist()])
    return {names[0]: (means, len(windows))} | {other: (perplexities, len(windows)) for other in names[1:]}


def score_open(rows: Sequence[Mapping[str, Any]], *, in_japanese: bool) -> Form:
    """Score a form by its answers to questions that the data do not answer: how often it abstains."""
    if not rows:
        return Form([], {"abstention": None}, {"abstention": NO_QUESTIONS})
    if not in_japanese:
        return Form([{"abstention": None} for _ in rows], {"abstention": None}, {"abstention": NOT_JAPANESE})
    told = [float(abstention.abstains(normalized(row["text"]))) for row in rows]
    return Form([{"abstention": one} for one in told], {"abstention": math.fsum(told) / len(told)}, {})


def describe_references(asked: Asked) -> Form:
    """Return what the references are by themselves: how polite, how long, how varied."""
    scores = [of_text(one, cut_off=False, in_japanese=asked.in_japanese) for one in asked.references]
    values = {name: value for name, value in _of_all(asked.references, scores).items() if MEASURES[name].of_text}
    return Form(scores, values, _reasons(asked, values))


def _corpus(asked: Asked, texts: Sequence[Text]) -> tuple[Scores, dict[str, Drawn]]:
    """Return each corpus measure, and its value in every resample."""
    if not texts:
        return dict.fromkeys(asked.corpus()), {}
    values: Scores = {}
    drawn: dict[str, Drawn] = {}
    for name, metric in asked.corpus().items():
        counts = metric.counts(*(_for(name, asked, part) for part in (texts, asked.references)))
        values[name] = metric.score(counts.sum(axis=0))
        found = np.array([metric.score(sums) for sums in bootstrap.resamples(len(texts)).sums(counts)])
        drawn[name] = (found, len(texts))
    return values, drawn


def _for(name: str, asked: Asked, texts: Sequence[Text]) -> list[str]:
    """Return texts as a corpus measure reads them: words with spaces for BLEU on Japanese, else as they are."""
    return [one.spaced if name == "bleu" and asked.in_japanese else one.text for one in texts]


def _of_all(texts: Sequence[Text], scores: Sequence[Scores]) -> Scores:
    """Return the means of the measures of single answers, and the measures of all answers together."""
    found: Scores = {}
    for name, measure in MEASURES.items():
        if measure.level == "answer":
            told = [value for one in scores if (value := one.get(name)) is not None]
            found[name] = math.fsum(told) / len(told) if told else None
    words = [one.surfaces for one in texts]
    found |= {"distinct1": variety.distinct(words, 1), "distinct2": variety.distinct(words, 2)}
    return {**found, "self_bleu": variety.self_bleu(words)}


def _reasons(asked: Asked, values: Scores) -> dict[str, str]:
    def why(name: str) -> str:
        if not asked.prompts:
            return NO_PROMPTS
        if name in asked.unasked:
            return asked.unasked[name]
        return NOT_JAPANESE if MEASURES[name].japanese and not asked.in_japanese else NOTHING_TO_MEASURE

    return {name: why(name) for name, value in values.items() if value is None}


def difference(name: str, first: Form, second: Form, references: Form) -> dict[str, Any]:
    """Return second - first with its interval and verdict; None and a reason where there is none."""
    before, after = first.values[name], second.values[name]
    measure = MEASURES[name]
    if before is None or after is None:
        return _found(None, reason=first.why.get(name) or second.why[name])
    if measure.level == "set":
        return _found(after - before, reason=SET_ONLY)
    if measure.level in ("corpus", "text"):
        low, high = _interval(drawn_difference(name, first, second))
        count = first.drawn[name][1]
        words = bootstrap.verdict(low, high, measure.better, count, unit_of(name))
        if words in ("better", "worse") and is_slight(name, before, after):
            words = "no difference that matters"
        return _found(after - before, low, high, count, words)
    return _of_answers(name, first, second, references)


def unit_of(name: str) -> str:
    """Return what is drawn for a measure's interval."""
    return "windows of text" if MEASURES[name].level == "text" else "prompts"


def drawn_difference(name: str, first: Form, second: Form) -> bootstrap.Values:
    """Return second - first in every resample, of a measure that is not of level `set` and that both forms have."""
    if MEASURES[name].level in ("corpus", "text"):
        (one, _), (other, _) = first.drawn[name], second.drawn[name]
        return other - one
    means = bootstrap.resamples(len(first.scores)).means(answer_rows(name, first, second))
    return means[:, 1] - means[:, 0]


def answer_rows(name: str, *parts: Form) -> list[tuple[Any, ...]]:
    """Return what a measure of single answers gave (a number or None), the prompts as rows, the forms as columns."""
    return list(zip(*([one.get(name) for one in part.scores] for part in parts), strict=True))


def is_slight(name: str, before: float, after: float) -> bool:
    """Tell whether two values of a measure of text differ by less than `LEAST_LOSS`; of perplexities, their losses."""
    if MEASURES[name].level != "text":
        return False
    if name in PERPLEXITIES:
        before, after = math.log(before), math.log(after)
    return abs(after - before) < LEAST_LOSS


def _of_answers(name: str, first: Form, second: Form, references: Form) -> dict[str, Any]:
    """Return the difference of a measure of single answers, over the prompts for which both forms were measured.

    Where no direction is better by itself, the references say which way is nearer to them.
    """
    parts = (first, second, references) if MEASURES[name].of_text else (first, second)
    rows = answer_rows(name, *parts)
    told = [row[1] - row[0] for row in rows if None not in row]
    if not told:
        return _found(None, reason="no prompt was measured for both forms")
    means = bootstrap.resamples(len(rows)).means(rows)
    low, high = _interval(means[:, 1] - means[:, 0])
    words = bootstrap.verdict(low, high, MEASURES[name].better, len(told))
    if words == "different":
        words += bootstrap.toward(means[:, 0], means[:, 1], means[:, 2])
    return _found(math.fsum(told) / len(told), low, high, len(told), words)


def _interval(drawn: bootstrap.Values) -> tuple[float, float]:
    low, high = bootstrap.interval(drawn)
    return round(low, DIGITS), round(high, DIGITS)


def _found(
    value: float | None,
    low: float | None = None,
    high: float | None = None,
    pairs: int | None = None,
    verdict: str | None = None,
    reason: str | None = None,
) -> dict[str, Any]:
    return {
        "difference": None if value is None else round(value, DIGITS),
        "low": low,
        "high": high,
        "pairs": pairs,
        "verdict": verdict,
        "reason": reason,
    }
