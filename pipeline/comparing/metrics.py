"""The evaluations of two runs: values of each, and, on prompts that both answered, how sure the difference is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.comparing import drawn, resampling
from pipeline.comparing.resampling import Interval, Pair
from pipeline.comparing.side import Side
from pipeline.comparing.yardsticks import OF_TEXT, unlike
from pipeline.stages.forms import BASE, TUNED
from pipeline.verdict_words import of_one_training

Answers = dict[str, Mapping[str, Any]]
"""The rows of answers.jsonl by what was asked: id, input and reference."""
_NO_SCORES = "no interval: a resample repeats answers, and repeated answers count as less varied"
_NOT_DRAWN = "no interval: it needs the same prompts or text, and evaluations that published resamples.jsonl"
_NO_PROMPTS = "no interval: the two runs were asked no prompt in common"
_NOT_OF_THIS_FORM = {"value": None, "reason": "not measured of this form"}
_NO_PAIRS = "no interval: no common prompt was measured in both runs"


@dataclass(frozen=True)
class Pairing:
    """What both runs published, A first, and what of it may be held against each other.

    `shared` are the questions that both answered; `apart` the measures that were not taken in the same way, with the
    reason.
    """

    found: Sequence[Mapping[str, Any]]
    answers: Sequence[Answers]
    drawn: Sequence[drawn.Drawn]
    shared: Sequence[str]
    apart: Mapping[str, str]

    @classmethod
    def of(cls, first: Side, second: Side, found: tuple[Mapping[str, Any], Mapping[str, Any]]) -> Pairing:
        """Pair two runs that were evaluated."""
        answers = [by_question(side) for side in (first, second)]
        shared = [name for name in answers[0] if name in answers[1]]
        same = len(shared) == len(answers[0]) == len(answers[1])
        apart = unlike((first, second), found, same=same)
        return cls(found, answers, [drawn.read(side) for side in (first, second)], shared, apart)

    @property
    def same(self) -> bool:
        """Whether both runs were asked the same prompts."""
        return len(self.shared) == len(self.answers[0]) == len(self.answers[1])

    def drawn_alike(self, name: str) -> bool:
        """Tell whether a measure's resamples drew the same in both runs: the same prompts in one order, or one text."""
        return name not in self.apart and (name in OF_TEXT or list(self.answers[0]) == list(self.answers[1]))


def metrics(first: Side, second: Side) -> dict[str, Any]:
    """Return the values of every form in both runs, and the difference B - A with its interval and verdict.

    `note` says how far the prompts are the same. Empty where one of the runs was not evaluated.
    """
    old, new = (side.files.json("evaluate", "evaluation.json") for side in (first, second))
    if not old or not new:
        return {}
    pairing = Pairing.of(first, second, (old, new))
    forms = [form for form in old["forms"] if form in new["forms"]]
    order = [name for name in old["order"] if name in new["metrics"]]
    only = [name for one, other in ((old, new), (new, old)) for name in one["order"] if name not in other["metrics"]]
    return {
        "prompts": {"a": old["prompts"], "b": new["prompts"], "shared": len(pairing.shared)},
        "note": _note(pairing),
        "intervals": {"level": resampling.LEVEL, "resamples": resampling.RESAMPLES, "least": resampling.LEAST_PAIRS},
        "forms": forms,
        "rows": [row for form in forms for row in _form(form, order, pairing)],
        "in_one_only": only,
        "over_base": _over_base(order, pairing.found),
    }


def by_question(side: Side) -> Answers:
    """Return a run's answers by their question."""
    rows = side.files.rows("evaluate", "answers.jsonl")
    return {repr((row["id"], sorted(row["input"].items()), row["reference"])): row for row in rows}


def _note(pairing: Pairing) -> str:
    count = len(pairing.shared)
    if not count:
        return "The two runs were asked different prompts: no difference of their answers is told."
    if pairing.same:
        return f"Both runs were asked the same {count} prompts: differences are paired."
    return f"{count} prompts are common to both runs: differences are paired, over these alone."


def _form(form: str, order: Sequence[str], pairing: Pairing) -> list[dict[str, Any]]:
    """Return one form's rows, a measure in each; those set apart have no difference, for the reason given there."""
    pairs = {name: [_scores(form, name, pairing.answers, one) for one in pairing.shared] for name in order}
    told = {name for name in pairs if name not in pairing.apart and any(pair is not None for pair in pairs[name])}
    intervals = resampling.intervals({name: pairs[name] for name in order if name in told})
    rows = []
    for name in order:
        metric = pairing.found[1]["metrics"][name]
        values = [one["metrics"][name]["values"].get(form, _NOT_OF_THIS_FORM) for one in pairing.found]
        row = {"form": form, "metric": name, "unit": metric["unit"], "better": metric["better"]}
        row |= {side: value["value"] for side, value in zip("ab", values, strict=True)}
        numbers = [row["a"], row["b"]]
        interval = intervals.get(name)
        if interval is None and None not in numbers and pairing.drawn_alike(name):
            interval = drawn.interval(name, form, numbers, pairing.drawn)
        if interval is None:
            row |= dict.fromkeys(("low", "high", "pairs", "verdict"))
            known = pairing.same and name not in pairing.apart and None not in numbers
            row["difference"] = round(row["b"] - row["a"], resampling.DIGITS) if known else None
            row["reason"] = _reason(form, name, values, pairing)
        else:
            row |= {"difference": interval.difference, "low": interval.low, "high": interval.high}
            row |= {"pairs": interval.pairs, "verdict": _verdict(form, name, interval, row), "reason": None}
        rows.append(row)
    return rows


def _verdict(form: str, name: str, found: Interval, row: Mapping[str, Any]) -> str:
    """Return what is told of the second run; each has trained once, and its untuned base not at all."""
    words = resampling.verdict(found, row["better"], "windows of text" if name in OF_TEXT else "prompts")
    if words in ("better", "worse") and drawn.is_slight(name, (row["a"], row["b"])):
        return "no difference that matters"
    return words if form == BASE else of_one_training(words)


def _reason(form: str, name: str, values: Sequence[Mapping[str, Any]], pairing: Pairing) -> str:
    """Return why a measure of a form has no interval."""
    missing = next((value["reason"] for value in values if value["value"] is None), None)
    if missing or name in pairing.apart:
        return str(missing or pairing.apart[name])
    if name in OF_TEXT or (name in drawn.MEASURES and pairing.shared):
        return _NOT_DRAWN
    return _without_pairs(name, pairing.answers, form) if pairing.shared else _NO_PROMPTS


def _scores(form: str, measure: str, answers: Sequence[Answers], question: str) -> Pair:
    first, second = (side[question]["forms"].get(form, {}).get("scores", {}).get(measure) for side in answers)
    return None if first is None or second is None else (float(first), float(second))


def _without_pairs(measure: str, answers: Sequence[Answers], form: str) -> str:
    scored = any(measure in row["forms"].get(form, {}).get("scores", {}) for side in answers for row in side.values())
    return _NO_PAIRS if scored else _NO_SCORES


def _over_base(order: Sequence[str], found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what each run found of its own tuned model against its own base, as its evaluation says."""
    rows = []
    for name in order:
        told = [
            next(
                (
                    {key: one[key] for key in ("difference", "low", "high", "verdict")}
                    for one in evaluation["metrics"][name]["differences"]
                    if (one["against"], one["form"]) == (BASE, TUNED)
                ),
                None,
            )
            for evaluation in found
        ]
        if any(one is not None and one["difference"] is not None for one in told):
            rows.append({"metric": name, "a": told[0], "b": told[1]})
    return rows
