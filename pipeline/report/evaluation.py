"""The section on metrics: base against tuned with intervals, and what became of the tuned form in each file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.report.artifacts import Artifacts
from pipeline.report.blocks import (
    Badge,
    Block,
    Bullets,
    Code,
    Inline,
    Paragraph,
    Plot,
    Section,
    Table,
    Tone,
    Value,
    Words,
)
from pipeline.report.charts import Forest, Interval, Sign
from pipeline.report.quantities import NOTHING, number, signed
from pipeline.stages.forms import BASE, TUNED
from pipeline.verdict_words import word_of

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Likeness to the references": ("bleu", "chrf", "rouge1", "rouge2", "rougeL", "bertscore", "exact_match"),
    "Held-out text": ("loss", "perplexity"),
    "Forgetting": ("forgetting_kl", "neutral_loss", "neutral_perplexity"),
    "Facts and abstention": ("fact_accuracy", "wrong_facts", "abstention", "false_abstention"),
    "Faults of the answers": ("training_copies", "empty", "unfinished", "english_mixed"),
    "Style": ("length", "keigo", "teineigo", "character_variety", "kana", "kanji", "latin"),
    "Variety": ("distinct1", "distinct2", "self_bleu"),
}
"""Heading → the metrics under it. One that stands nowhere here is shown under `FURTHER`."""
FURTHER = "Further measures"
MEANINGS: Mapping[str, str] = {
    "Likeness to the references": (
        "How near the answers come to those of the data. Where many answers are right, as with titles, a good one can"
        " score low."
    ),
    "Held-out text": (
        "How much the model is surprised by prompts and answers of the data that it was not trained on; less is better."
    ),
    "Forgetting": (
        "What the training did to neutral text, which has nothing to do with the task. forgetting_kl: how far the"
        " predictions moved away from the base's, 0 if not at all; neutral_loss, neutral_perplexity: how much the model"
        " is surprised by it."
    ),
    "Facts and abstention": (
        "Facts that the data demand of an answer, and whether the model says so when it cannot know. wrong_facts:"
        " answers that lack a fact or hold a forbidden one; false_abstention: answers that do not know what the data"
        " do know."
    ),
    "Faults of the answers": (
        "Answers that are a training row, that are empty, that break off, or that hold English which neither"
        " the prompt nor the reference holds."
    ),
    "Style": (
        "None of these is better by itself: hold them against the references, the answers of the data. keigo: words"
        " of respect; teineigo: polite endings (です, ます); character_variety: 1 if no character comes twice."
    ),
    "Variety": (
        "How much the answers differ among each other. distinct1, distinct2: 1 if no word, no pair of words comes"
        " twice; self_bleu: 100 if all answers are the same."
    ),
}
"""Heading → what its metrics measure, for a reader who has the page alone. Words: docs/evaluation.md."""

NEUTRAL: Mapping[str, str] = {
    "file": "the recipe's own text (evaluate.neutral)",
    "built-in": "short passages about everyday matters, Japanese with some English, that come with the pipeline",
    "seedling": "notes of the kind that the small base model was trained on, drawn anew, without the task's themes",
}
"""Source of the neutral text, as `preflight` names it → what a reader has to know of it."""
_TEXTS: Mapping[str, str] = {"Held-out text": "held_out", "Forgetting": "neutral"}
"""Heading → the text that its metrics are of."""
_REFERENCES = "references"
_TONES: Mapping[str, Tone] = {"better": "good", "worse": "bad", "different": "neutral"}
_SIGNS: Mapping[str, Sign] = {"better": "good", "worse": "bad"}


def evaluation_section(artifacts: Artifacts) -> Section:
    """Return the metrics of the held-out prompts; what was not measured says why."""
    found = artifacts.json("evaluate", "evaluation.json")
    if not found:
        return Section("Evaluation", (Paragraph("Not evaluated."),))
    tables = [*_tuned(found), *_trainings(found), *_forms(artifacts, found), *_not_measured(found)]
    return Section("Evaluation", [_introduction(found), *forest(found), *tables])


def _introduction(found: Mapping[str, Any]) -> Paragraph:
    intervals = found["intervals"]
    pieces: list[Inline] = ["Greedy answers to ", number(found["prompts"]), " prompts that training never saw."]
    pieces += [" Intervals: paired bootstrap, ", Value(f"{intervals['level'] * 100:g} %", intervals["level"]), " of "]
    pieces += [number(intervals["resamples"]), " resamples; a verdict needs ", number(intervals["least_pairs"])]
    pieces.append(
        " prompts, or windows of text. Of twenty measures that do not differ, one shows a difference by chance. Words: "
    )
    pieces.append(Code(found["words"]))
    for at, (name, text) in enumerate(found["signatures"].items()):
        pieces += [f"{', ' if at else '; '}{name} ", Code(text)]
    if found["scorer"]:
        pieces += ["; bertscore ", Code(_scorer(found["scorer"]))]
    pieces.append(". What each measure is blind to: docs/evaluation.md. ")
    pieces.append("Where a word says (one training), another seed might say otherwise.")
    return Paragraph(tuple(pieces))


def _scorer(scorer: Mapping[str, Any]) -> str:
    """Return what somebody needs to compute the same BERTScore: model, revision, layer, weights."""
    name = f"{scorer['repo']}@{scorer['revision']}" if scorer["source"] == "hub" else scorer["kind"]
    return f"{name}|layer:{scorer['layer']}|idf:{'yes' if scorer['idf'] else 'no'}|rescaled:no"


def metrics_of(found: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the metrics in the order that the program gave them; JSON has sorted them by name."""
    return [(name, found["metrics"][name]) for name in found["order"]]


def difference_of(metric: Mapping[str, Any], against: str, form: str) -> Mapping[str, Any] | None:
    """Return the difference of two forms, None where none was taken."""
    return next((one for one in metric["differences"] if (one["against"], one["form"]) == (against, form)), None)


def forest(found: Mapping[str, Any], against: str = BASE, form: str = TUNED) -> list[Block]:
    """Return the differences of two forms with their intervals: a panel for each unit, zero marked.

    Measures whose difference is surely nothing (no answer differs) have no row.
    """
    panels: dict[str, list[Interval]] = {}
    for name, metric in metrics_of(found):
        one = difference_of(metric, against, form)
        if one is None or one["low"] is None or one["low"] == one["high"] == 0:
            continue
        arrow = {"higher": " ↑", "lower": " ↓"}.get(metric["better"], "")
        sign = _SIGNS.get(word_of(str(one["verdict"])), "none")
        row = Interval(f"{name}{arrow}", one["difference"], one["low"], one["high"], sign)
        panels.setdefault(metric["unit"], []).append(row)
    if not panels:
        return []
    rows = [row for panel in panels.values() for row in panel]
    told = {word: [row.label for row in rows if row.sign == sign] for word, sign in _SIGNS.items()}
    words = "; ".join(f"{word}: {', '.join(names)}" for word, names in told.items() if names)
    level = f"{found['intervals']['level'] * 100:g}"
    caption = (
        f"Tuned minus base with {level} % intervals; an interval over the line at zero shows no sure difference."
        " ↑ higher is better, ↓ lower is better. Full circle: better; square: worse; ring: neither"
        " is shown, or neither direction is better."
    )
    alt = f"Differences of {len(rows)} measures with intervals. {words or 'None is better or worse for sure.'}"
    return [Plot("differences", caption, alt, Forest(tuple(panels.items())))]


def _tuned(found: Mapping[str, Any]) -> list[Block]:
    """Return base against adapter, metric by metric."""
    rows: dict[str, list[Sequence[Words]]] = {}
    for name, metric in metrics_of(found):
        one = difference_of(metric, BASE, TUNED)
        values = [metric["values"].get(form, {}).get("value") for form in (BASE, TUNED, _REFERENCES)]
        if one is None or values[0] is None or values[1] is None:
            continue
        rows.setdefault(group_of(name), []).append((name, metric["unit"], *map(number, values), *_told(one)))
    columns = ("metric", "unit", "base", "tuned", "references", "difference", "interval", "verdict")
    return [
        Section(group, (*_meaning(group, found), Table(columns, rows[group])))
        for group in (*GROUPS, FURTHER)
        if group in rows
    ]


def _meaning(group: str, found: Mapping[str, Any]) -> list[Block]:
    """Return what a heading's metrics measure, and on which text."""
    if group not in MEANINGS:
        return []
    text = (found.get("texts") or {}).get(_TEXTS.get(group, ""))
    if text is None:
        return [Paragraph(MEANINGS[group])]
    what = NEUTRAL.get(text["of"], text["of"])
    size = (number(text["tokens"]), " tokens in ", number(text["windows"]), " windows.")
    return [Paragraph((f"{MEANINGS[group]} The text: {what}; ", *size))]


def group_of(metric: str) -> str:
    """Return the heading under which a metric stands."""
    return next((group for group, names in GROUPS.items() if metric in names), FURTHER)


def _told(one: Mapping[str, Any]) -> tuple[Words, Words, Words]:
    interval: Words = NOTHING
    if one["low"] is not None:
        interval = (Value(f"{one['low']:.4g}", one["low"]), " to ", Value(f"{one['high']:.4g}", one["high"]))
    return signed(one["difference"]), interval, verdict_badge(one["verdict"] or "no interval")


def verdict_badge(verdict: str) -> Badge:
    """Return what the interval shows."""
    return Badge(verdict, _TONES.get(word_of(verdict), "neutral"))


def tuned_verdict(found: Mapping[str, Any], name: str) -> str | None:
    """Return what is known of the tuned model against the base: over the trainings where they allow a verdict."""
    pooled = over_trainings(found, name)
    if pooled is not None:
        return str(pooled["verdict"])
    one = difference_of(found["metrics"][name], BASE, TUNED)
    return None if one is None else one["verdict"]


def over_trainings(found: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """Return what the trainings show together of a measure; None where they allow no verdict."""
    seeds = found["seeds"]
    pooled: Mapping[str, Any] = seeds["metrics"].get(name, {})
    return pooled if pooled.get("verdict") is not None and len(seeds["trainings"]) >= seeds["least"] else None


def _forms(artifacts: Artifacts, found: Mapping[str, Any]) -> list[Block]:
    """Return the values of every later form, marked where the interval shows a difference from the adapter."""
    later = [form for form in found["forms"] if form not in (BASE, TUNED)]
    names = artifacts.forms()
    rows: list[Sequence[Words]] = []
    for name, metric in metrics_of(found):
        value = metric["values"][TUNED]["value"]
        if value is not None:
            rows.append((name, number(value), *(_marked(metric, form) for form in later)))
    if not rows or not later:
        return []
    told = "Forms against the adapter; a word stands where the interval shows a difference."
    table = Table(("metric", "adapter", *(names.get(form, form) for form in later)), rows)
    return [Section("Every form", (Paragraph(told), table))]


def _marked(metric: Mapping[str, Any], form: str) -> Words:
    value = number(metric["values"][form]["value"])
    one = difference_of(metric, TUNED, form)
    word = "" if one is None or one["verdict"] is None else one["verdict"].split(",")[0]
    return (value, " ", verdict_badge(word)) if word_of(word) in _TONES else value


def _trainings(found: Mapping[str, Any]) -> list[Section]:
    """Return what several trainings show together, where there are some."""
    seeds = found["seeds"]
    rows: list[Sequence[Words]] = []
    for name in found["order"] if seeds["metrics"] else ():
        one = seeds["metrics"][name]
        if one["mean"] is not None:
            each = [signed(of_seed["difference"]) for of_seed in one["differences"]]
            _, interval, verdict = _told({**one, "difference": one["mean"]})
            rows.append((name, *each, signed(one["mean"]), number(one["spread"]), interval, verdict))
    if not rows:
        return []
    told = (
        "Adapter against base, training by training. The interval is that of the mean, over other prompts and seeds; a"
    )
    needed = (f"{told} verdict needs ", number(seeds["least"]), " trainings, and is about the recipe.")
    columns = ("metric", *(f"seed {seed}" for seed in seeds["trainings"]), "mean", "spread", "interval", "verdict")
    return [Section(f"Over {len(seeds['trainings'])} trainings", (Paragraph(needed), Table(columns, rows)))]


def _not_measured(found: Mapping[str, Any]) -> list[Block]:
    """Return what has no value or no interval, with the reason, once for each reason."""
    reasons: dict[str, list[str]] = {}
    for name, metric in metrics_of(found):
        pooled = found["seeds"]["metrics"].get(name, {})
        told: Sequence[Mapping[str, Any]] = [*metric["values"].values(), *metric["differences"], pooled]
        for reason in dict.fromkeys(one["reason"] for one in told if one.get("reason")):
            reasons.setdefault(reason, []).append(name)
    items = [f"{', '.join(names)}: {reason}" for reason, names in reasons.items()]
    return [Section("Not measured, or without an interval", (Bullets(items),))] if items else []
