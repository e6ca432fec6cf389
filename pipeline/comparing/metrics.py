"""The evaluations of two runs: values of each, and, on prompts that both answered, how sure the difference is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.comparing import resampling
from pipeline.comparing.resampling import Interval, Pair
from pipeline.comparing.side import Side
from pipeline.comparing.yardsticks import unlike
from pipeline.stages.forms import BASE, TUNED
from pipeline.verdict_words import of_one_training

Answers = dict[str, Mapping[str, Any]]
"""The rows of answers.jsonl by what was asked: id, input and reference."""
_NO_SCORES = "no interval: this measure has no value for a single answer"
_NO_PROMPTS = "no interval: the two runs were asked no prompt in common"
_NOT_OF_THIS_FORM = {"value": None, "reason": "not measured of this form"}
_NO_PAIRS = "no interval: no common prompt was measured in both runs"


def metrics(first: Side, second: Side) -> dict[str, Any]:
    """Return the values of every form in both runs, and the difference B - A with its interval and verdict.

    `note` says how far the prompts are the same. Empty where one of the runs was not evaluated.
    """
    found = [side.files.json("evaluate", "evaluation.json") for side in (first, second)]
    if not all(found):
        return {}
    answers = [by_question(side) for side in (first, second)]
    shared = [name for name in answers[0] if name in answers[1]]
    forms = [form for form in found[0]["forms"] if form in found[1]["forms"]]
    order = [name for name in found[0]["order"] if name in found[1]["metrics"]]
    only = [name for one, other in (found, found[::-1]) for name in one["order"] if name not in other["metrics"]]
    same = len(shared) == len(answers[0]) == len(answers[1])
    apart = unlike((first, second), (found[0], found[1]), same=same)
    rows = [row for form in forms for row in _form(form, order, found, answers, shared, apart)]
    return {
        "prompts": {"a": found[0]["prompts"], "b": found[1]["prompts"], "shared": len(shared)},
        "note": _note(answers[0], answers[1], len(shared)),
        "intervals": {"level": resampling.LEVEL, "resamples": resampling.RESAMPLES, "least": resampling.LEAST_PAIRS},
        "forms": forms,
        "rows": rows,
        "in_one_only": only,
        "over_base": _over_base(order, found),
    }


def by_question(side: Side) -> Answers:
    """Return a run's answers by their question."""
    rows = side.files.rows("evaluate", "answers.jsonl")
    return {repr((row["id"], sorted(row["input"].items()), row["reference"])): row for row in rows}


def _note(first: Answers, second: Answers, shared: int) -> str:
    if not shared:
        return "The two runs were asked different prompts: values stand beside each other, and no difference is told."
    if shared == len(first) == len(second):
        return f"Both runs were asked the same {shared} prompts: differences are paired."
    return f"{shared} prompts are common to both runs: differences are paired, over these alone."


def _form(
    form: str,
    order: Sequence[str],
    found: Sequence[Mapping[str, Any]],
    answers: Sequence[Answers],
    shared: Sequence[str],
    apart: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Return one form's rows, a measure in each; those of `apart` have no difference, for the reason given there."""
    pairs = {name: [_scores(form, name, answers, question) for question in shared] for name in order}
    same = len(shared) == len(answers[0]) == len(answers[1])
    told = {name for name in pairs if name not in apart and any(pair is not None for pair in pairs[name])}
    intervals = resampling.intervals({name: pairs[name] for name in order if name in told})
    rows = []
    for name in order:
        metric = found[1]["metrics"][name]
        values = [one["metrics"][name]["values"].get(form, _NOT_OF_THIS_FORM) for one in found]
        row = {"form": form, "metric": name, "unit": metric["unit"], "better": metric["better"]}
        row |= {side: value["value"] for side, value in zip("ab", values, strict=True)}
        reason = next((value["reason"] for value in values if value["value"] is None), None)
        interval = intervals.get(name)
        if interval is None:
            row |= dict.fromkeys(("low", "high", "pairs", "verdict"))
            known = same and name not in apart and row["a"] is not None and row["b"] is not None
            row["difference"] = round(row["b"] - row["a"], resampling.DIGITS) if known else None
            row["reason"] = (
                reason or apart.get(name) or (_without_pairs(name, answers, form) if shared else _NO_PROMPTS)
            )
        else:
            row |= {"difference": interval.difference, "low": interval.low, "high": interval.high}
            row |= {"pairs": interval.pairs, "verdict": _verdict(form, interval, metric["better"]), "reason": None}
        rows.append(row)
    return rows


def _verdict(form: str, found: Interval, better: str) -> str:
    """Return what is told of the second run; each has trained once, and its untuned base not at all."""
    words = resampling.verdict(found, better)
    return words if form == BASE else of_one_training(words)


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
