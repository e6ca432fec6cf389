"""The page's first answers: what was trained, whether it is better and how sure that is, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.report.artifacts import Artifacts
from pipeline.report.blocks import Facts, Inline, Link, Words
from pipeline.report.evaluation import difference_of, metrics_of, over_trainings, tuned_verdict, verdict_badge
from pipeline.report.quantities import number, share, signed, size
from pipeline.report.verdicts import outcome_badge
from pipeline.stages.forms import BASE, TUNED
from pipeline.verdict_words import word_of


def glance(artifacts: Artifacts) -> list[Facts]:
    """Return the questions that a reader comes with, as far as they can be answered."""
    pairs = [*_trained(artifacts), *_better(artifacts), *_answers(artifacts), *_costs(artifacts)]
    return [Facts(pairs)] if pairs else []


def _trained(artifacts: Artifacts) -> list[tuple[str, Words]]:
    base, train = artifacts.settings.get("base"), artifacts.settings.get("train")
    history = artifacts.json("train", "history.json")
    if not base or not train or not history:
        return []
    rows = (artifacts.json("prepare", "funnel.json").get("splits") or {}).get("train")
    pieces: list[Inline] = [f"base model {base.get('repo') or base['source']}, LoRA of rank {train['lora']['rank']}"]
    pieces += [", ", number(rows), " rows"] if rows else []
    pieces += [", ", number(history["steps"]), " steps"]
    return [("what was trained", tuple(pieces))]


def _better(artifacts: Artifacts) -> list[tuple[str, Words]]:
    """Return which measures with a better direction got better or worse, and the loss in numbers."""
    found = artifacts.json("evaluate", "evaluation.json")
    if not found:
        return []
    verdicts: dict[str, list[str]] = {}
    for name, metric in metrics_of(found):
        told = tuned_verdict(found, name)
        if metric["better"] != "neither" and told:
            verdicts.setdefault(told, []).append(name)
    pieces: list[Inline] = []
    for told in sorted(told for told in verdicts if word_of(told) in ("better", "worse")):
        pieces += [verdict_badge(told), f" {', '.join(verdicts.pop(told))}; "]
    others = sum(map(len, verdicts.values()))
    pieces += [number(others), " measures show no difference that is sure; see "] if others else ["see "]
    pieces.append(Link("Evaluation", "Evaluation"))
    return [("against its base", tuple(pieces)), *_loss(found)]


def _loss(found: Mapping[str, Any]) -> list[tuple[str, Words]]:
    metric = found["metrics"].get("loss")
    pooled = over_trainings(found, "loss")
    one = metric and (
        difference_of(metric, BASE, TUNED) if pooled is None else {**pooled, "difference": pooled["mean"]}
    )
    if not one or one["low"] is None:
        return []
    trainings = f"mean of {len(found['seeds']['trainings'])} trainings " if pooled is not None else ""
    before, after = (number(metric["values"][form]["value"]) for form in (BASE, TUNED))
    level = f" nats per token ({100 * found['intervals']['level']:g} %: "
    words = (
        before,
        " → ",
        after,
        f", {trainings}",
        signed(one["difference"]),
        level,
        signed(one["low"]),
        " to ",
        signed(one["high"]),
    )
    return [("loss on held-out text", (*words, ") ", verdict_badge(one["verdict"] or "no interval")))]


def _answers(artifacts: Artifacts) -> list[tuple[str, Words]]:
    """Return what the gate on answers found: the task's own rules, not likeness to one reference."""
    found = [verdict for _, verdict in artifacts.all_verdicts() if verdict["gate"] == "improvement.answers"]
    return [
        (
            "answers, by the task's rules",
            (
                *("better on ", share(verdict["value"], 1), " of the unseen prompts that decide; needed: "),
                *(f"{verdict['limit']} ", outcome_badge(verdict["outcome"])),
            ),
        )
        for verdict in found
        if isinstance(verdict["value"], int | float)
    ]


def _costs(artifacts: Artifacts) -> list[tuple[str, Words]]:
    files = artifacts.models()
    if not files:
        return []
    pieces: list[Inline] = []
    whole = next(iter(files.values()))
    for at, (path, count) in enumerate(files.items()):
        pieces += [", " if at else "", f"{path} ", size(count)]
        pieces += [" (", share(count, whole), " of F16)"] if at else []
    return [("what it costs", (*pieces, "; speeds: ", Link("Measured on this machine", "Measured on this machine")))]
