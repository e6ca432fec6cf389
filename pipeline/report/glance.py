"""The page's first answers: what was trained, whether it is better and how sure that is, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.report.artifacts import Artifacts
from pipeline.report.blocks import Facts, Inline, Link, Words
from pipeline.report.evaluation import (
    difference_of,
    group_of,
    metrics_of,
    over_trainings,
    tuned_verdict,
    verdict_badge,
)
from pipeline.report.quantities import number, share, signed, size
from pipeline.report.verdicts import outcome_badge
from pipeline.stages.forms import BASE, TUNED
from pipeline.verdict_words import word_of

_BASES: Mapping[str, str] = {
    "seedling": "a small Qwen3 that the pipeline trained from scratch",
    "seedling-llama": "a small Llama that the pipeline trained from scratch",
    "folder": "from a local folder",
}
"""Source of a base without a name → what it is."""


def glance(artifacts: Artifacts) -> list[Facts]:
    """Return the questions that a reader comes with, as far as they can be answered."""
    parts = (_trained, _better, _answers, _sure, _costs, _checked)
    pairs = [pair for part in parts for pair in part(artifacts)]
    return [Facts(pairs)] if pairs else []


def _trained(artifacts: Artifacts) -> list[tuple[str, Words]]:
    base, train = artifacts.settings.get("base"), artifacts.settings.get("train")
    history = artifacts.json("train", "history.json")
    if not base or not train or not history:
        return []
    rows = (artifacts.json("prepare", "funnel.json").get("splits") or {}).get("train")
    name = base.get("repo") or _BASES.get(base["source"], base["source"])
    pieces: list[Inline] = [f"an adapter (LoRA of rank {train['lora']['rank']}"]
    if counts := (history.get("trainable_parameters"), history.get("all_parameters")):
        pieces += [", ", number(counts[0]), " of ", number(counts[1]), " parameters"] if all(counts) else []
    pieces += [f") on a base model, {name}"]
    pieces += [", with ", number(rows), " rows"] if rows else []
    pieces += [", in ", number(history["steps"]), " steps"]
    return [("what was trained", tuple(pieces))]


def _better(artifacts: Artifacts) -> list[tuple[str, Words]]:
    """Return which measures with a better direction got better or worse, by their headings; and the loss in numbers."""
    found = artifacts.json("evaluate", "evaluation.json")
    if not found:
        return []
    verdicts: dict[str, dict[str, list[str]]] = {}
    for name, metric in metrics_of(found):
        told = tuned_verdict(found, name)
        if metric["better"] != "neither" and told:
            verdicts.setdefault(told, {}).setdefault(group_of(name), []).append(name)
    pieces: list[Inline] = []
    for told in sorted(told for told in verdicts if word_of(told) in ("better", "worse")):
        groups = [f"{group} ({', '.join(names)})" for group, names in verdicts.pop(told).items()]
        pieces += [verdict_badge(told), f" {', '.join(groups)}; "]
    others = sum(len(names) for groups in verdicts.values() for names in groups.values())
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
                *("better than the base's on ", share(verdict["value"], 1), " of the unseen prompts that decide"),
                *(f" ({found})" for found in verdict["evidence"][:1]),
                *(f"; needed: {verdict['limit']} ", outcome_badge(verdict["outcome"])),
            ),
        )
        for verdict in found
        if isinstance(verdict["value"], int | float)
    ]


def _sure(artifacts: Artifacts) -> list[tuple[str, Words]]:
    """Return what stands behind the verdicts: prompts, windows of text, trainings."""
    found = artifacts.json("evaluate", "evaluation.json")
    if not found:
        return []
    text = (found.get("texts") or {}).get("held_out")
    trainings = len(found["seeds"]["trainings"])
    level = f"{100 * found['intervals']['level']:g} % intervals over "
    pieces: list[Inline] = [level, number(found["prompts"]), " prompts that training never saw"]
    pieces += [" and ", number(text["windows"]), " windows of held-out text"] if text else []
    once = "; where a word says (one training), another seed might say otherwise"
    pieces.append(f"; {trainings} trainings" if trainings >= found["seeds"]["least"] else once)
    return [("how sure that is", tuple(pieces))]


def _checked(artifacts: Artifacts) -> list[tuple[str, Words]]:
    if not artifacts.models():
        return []
    return [("how to check it", (Link("commands", "How to run it"), ", sha256: ", Link("Files", "Files")))]


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
