"""The sections on gates: what needs attention first, then every verdict, then where the limits come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.report.artifacts import Artifacts
from pipeline.report.blocks import Badge, Block, Bullets, Code, Inline, Item, Paragraph, Section, Table, Tone, Words
from pipeline.report.quantities import number, visible

EVIDENCE_LINES = 3
_EVIDENCE_CHARS = 160
_TONES: Mapping[str, Tone] = {"passed": "good", "failed": "bad", "warned": "warn", "waived": "warn"}


def outcome_badge(outcome: str) -> Badge:
    """Return a gate's outcome; whatever did not pass is loud."""
    return Badge(outcome, _TONES.get(outcome, "neutral"), loud=outcome != "passed")


def attention_section(artifacts: Artifacts) -> Section:
    """Return failures, then what was not measured and exceptions, then warnings; each with cause and advice.

    Evidence may quote rows and answers, so it is shown only where the recipe shows rows.
    """
    found = artifacts.all_verdicts()
    order = ("failed", "waived", "warned", "not measured")
    listed = [(stage, verdict) for outcome in order for stage, verdict in found if verdict["outcome"] == outcome]
    block: Block = Paragraph("Nothing." if found else "Nothing was judged.")
    if listed:
        show = artifacts.show_rows
        block = Bullets([_item(stages, verdict, show_rows=show) for stages, verdict in _together(listed)])
    return Section("What needs attention", (block,))


def _together(listed: Sequence[tuple[str, Mapping[str, Any]]]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return one entry for verdicts that differ in nothing but their stage, with all their stages."""
    stages: dict[str, list[str]] = {}
    verdicts: dict[str, Mapping[str, Any]] = {}
    for stage, verdict in listed:
        same = json.dumps(verdict, sort_keys=True)
        stages.setdefault(same, []).append(stage)
        verdicts[same] = verdict
    return [(", ".join(names), verdicts[same]) for same, names in stages.items()]


def _item(stages: str, verdict: Mapping[str, Any], *, show_rows: bool) -> Item:
    head: list[Inline] = [outcome_badge(verdict["outcome"]), " ", Code(verdict["gate"])]
    head.append(f" in {stages}, {verdict['subject']}")
    if verdict["value"] is not None:
        head += [": ", number(verdict["value"]), f" {verdict['unit']}"]
    below: list[Words] = []
    if verdict["outcome"] != "not measured":
        below.append(f"limit: {verdict['limit']}")
    reason = "reason" if verdict["outcome"] == "not measured" else "cause"
    told = {reason: verdict["cause"], "do": verdict["advice"], "waived because": verdict["waiver"]}
    below += [f"{name}: {text}" for name, text in told.items() if text]
    evidence = verdict["evidence"][:EVIDENCE_LINES] if show_rows else ()
    below += [f"see: {visible(text, _EVIDENCE_CHARS)}" for text in evidence]
    return Item(tuple(head), below)


def gates_section(artifacts: Artifacts) -> Section:
    """Return every verdict, stage by stage."""
    columns = ("verdict", "gate", "of what", "value", "unit", "limit")
    parts = [
        Section(stage, (Table(columns, [_row(verdict) for verdict in verdicts], head=1),), folded=True)
        for stage, verdicts in artifacts.verdicts.items()
        if verdicts
    ]
    return Section("Gates", parts or (Paragraph("No gate has answered."),))


def _row(verdict: Mapping[str, Any]) -> tuple[Inline, ...]:
    return (
        outcome_badge(verdict["outcome"]),
        Code(verdict["gate"]),
        verdict["subject"],
        number(verdict["value"]),
        verdict["unit"],
        verdict["limit"],
    )


def sources_section(artifacts: Artifacts) -> Section | None:
    """Return where each gate's limit comes from, once per gate and source."""
    found = {(verdict["gate"], verdict["source"]): None for _, verdict in artifacts.all_verdicts() if verdict["source"]}
    if not found:
        return None
    items = [(Code(gate), f": {source}") for gate, source in sorted(found)]
    return Section("Where the limits come from", (Bullets(items),), folded=True)
