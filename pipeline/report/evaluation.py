"""The section on metrics: base against tuned with intervals, and what became of the tuned form in each file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.report.artifacts import Artifacts
from pipeline.report.markdown import code, escaped, number, table

_BASE, _TUNED, _REFERENCES = "verify-base", "verify-hf", "references"


def evaluation_section(artifacts: Artifacts) -> str:
    """Return the metrics of the held-out prompts; what was not measured says why."""
    found = artifacts.json("evaluate", "evaluation.json")
    if not found:
        return "## Evaluation\n\nNot evaluated."
    parts = ["## Evaluation", _introduction(found), _tuned(found), _forms(artifacts, found), _not_measured(found)]
    return "\n\n".join(part for part in parts if part)


def _introduction(found: Mapping[str, Any]) -> str:
    intervals = found["intervals"]
    signatures = ", ".join(f"{name} {code(text)}" for name, text in found["signatures"].items())
    level, resamples, least = intervals["level"] * 100, intervals["resamples"], intervals["least_pairs"]
    return (
        f"Greedy answers to {found['prompts']} prompts that training never saw. Intervals: paired bootstrap, {level:g}"
        f" % of {resamples:,} resamples; a verdict needs {least} prompts, or windows of text. Of twenty measures that"
        f" do not differ, one shows a difference by chance. Words: {code(found['words'])}; {signatures}. What each"
        " measure is blind to: docs/evaluation.md."
    )


def _metrics(found: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the metrics in the order that the program gave them; JSON has sorted them by name."""
    return [(name, found["metrics"][name]) for name in found["order"]]


def _tuned(found: Mapping[str, Any]) -> str:
    """Return base against adapter, metric by metric."""
    rows = []
    for name, metric in _metrics(found):
        one = _difference(metric, _BASE, _TUNED)
        values = [metric["values"].get(form, {}).get("value") for form in (_BASE, _TUNED, _REFERENCES)]
        if one is None or values[0] is None or values[1] is None:
            continue
        rows.append((name, escaped(metric["unit"]), *map(number, values), *_told(one)))
    header = ("metric", "unit", "base", "tuned", "references", "difference", "interval", "verdict")
    return table(header, rows, right=(2, 3, 4, 5)) if rows else ""


def _difference(metric: Mapping[str, Any], against: str, form: str) -> Mapping[str, Any] | None:
    return next((one for one in metric["differences"] if (one["against"], one["form"]) == (against, form)), None)


def _told(one: Mapping[str, Any]) -> tuple[str, str, str]:
    interval = "–" if one["low"] is None else f"{one['low']:.4g} to {one['high']:.4g}"
    return number(one["difference"]), interval, one["verdict"] or "no interval"


def _forms(artifacts: Artifacts, found: Mapping[str, Any]) -> str:
    """Return the values of every later form, marked where the interval shows a difference from the adapter."""
    later = [form for form in found["forms"] if form not in (_BASE, _TUNED)]
    names = artifacts.forms()
    rows = []
    for name, metric in _metrics(found):
        value = metric["values"][_TUNED]["value"]
        if value is not None:
            rows.append((name, number(value), *(_marked(metric, form) for form in later)))
    if not rows or not later:
        return ""
    header = ("metric", "adapter", *(escaped(names.get(form, form)) for form in later))
    told = "Forms against the adapter; a word stands where the interval shows a difference."
    return f"{told}\n\n{table(header, rows, right=range(1, len(header)))}"


def _marked(metric: Mapping[str, Any], form: str) -> str:
    value = number(metric["values"][form]["value"])
    one = _difference(metric, _TUNED, form)
    word = "" if one is None or one["verdict"] is None else one["verdict"].split(",")[0]
    return f"{value} {word}" if word in ("better", "worse", "different") else value


def _not_measured(found: Mapping[str, Any]) -> str:
    """Return what has no value or no interval, with the reason, once for each reason."""
    reasons: dict[str, list[str]] = {}
    for name, metric in _metrics(found):
        told: Sequence[Mapping[str, Any]] = [*metric["values"].values(), *metric["differences"]]
        for reason in dict.fromkeys(one["reason"] for one in told if one["reason"]):
            reasons.setdefault(reason, []).append(name)
    lines = [f"- {', '.join(names)}: {escaped(reason)}" for reason, names in reasons.items()]
    return "Not measured, or without an interval:\n\n" + "\n".join(lines) if lines else ""
