"""What differs from run to run: speeds, times, memory. Never part of an artifact; the papers in the view show it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.report.artifacts import form_name
from pipeline.report.blocks import Block, Bullets, Code, Paragraph, Section, Table, Value, Words
from pipeline.report.quantities import NOTHING, size

_PROMPT, _GENERATION = "verify.prompt-tokens-per-second", "verify.generation-tokens-per-second"
_NOTE = (
    "These figures differ from run to run and are no part of any artifact. A stage that was not built in this run shows"
    " those of the run that built it. Stages may have run at the same time: a run takes less than the sum of theirs."
)
_SHA256 = re.compile(r"\b([0-9a-f]{16})[0-9a-f]{48}\b")
_WHOLE_FROM = 100.0
"""Values from here on are shown without decimals."""
Records = Mapping[str, Mapping[str, Any]]


def speeds_section(records: Records, sizes: Mapping[str, int] | None = None) -> Section:
    """Return the section "Measured on this machine" from build records, in their order.

    `records`: stage → {"wall_s": seconds, "measured": [{"name", "value", "unit"}]}. A stage that was taken from the
    store shows the figures of the run that built it; one without a record shows none. `sizes`: stage → bytes of its
    artifact.
    """
    parts: list[Block] = [Paragraph(_NOTE), *_forms(records), *_others(records), *_walls(records, sizes or {})]
    return Section("Measured on this machine", parts)


def training_seconds(records: Records) -> float | None:
    """Return how long the training took; None where that was not measured."""
    found = _figures(records.get("train", {})).get("train.seconds")
    return None if found is None else round(float(found["value"]), 3)


def build_section(environments: Mapping[str, Mapping[str, str]]) -> Section | None:
    """Return what the stages ran in: every package of each environment, by the stage that was first to use it."""
    if not environments:
        return None
    parts: list[Block] = [
        Paragraph(
            "What the stages ran in: interpreter, packages and native files, each by the start of its hash. The whole"
            " ones stand in manifest.json, in the key of every stage."
        )
    ]
    for stage, packages in environments.items():
        items = [(Code(name), " " + _SHA256.sub(r"\1…", words)) for name, words in sorted(packages.items())]
        parts.append(Section(f"Environment of {stage}", (Bullets(items),), folded=True))
    return Section("Environments", parts)


def _forms(records: Records) -> list[Block]:
    """Return prompt and generation speed of every form that spoke."""
    rows: list[Sequence[Words]] = [
        (name, _value(figures.get(_PROMPT)), _value(figures.get(_GENERATION)))
        for stage, record in records.items()
        if (name := form_name(stage)) and (figures := _figures(record))
    ]
    return [Table(("form", "prompt tokens/s", "generated tokens/s"), rows)] if rows else []


def _figures(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return name → entry; a figure that was measured twice (a resumed job) counts as last measured."""
    return {entry["name"]: entry for entry in record.get("measured") or ()}


def _others(records: Records) -> list[Block]:
    """Return every other figure: training time and speed, memory, loading."""
    rows: list[Sequence[Words]] = [
        (stage, entry["name"], _value(entry), _unit(entry))
        for stage, record in records.items()
        for entry in _figures(record).values()
        if entry["name"] not in (_PROMPT, _GENERATION)
    ]
    return [Table(("stage", "figure", "value", "unit"), rows)] if rows else []


def _walls(records: Records, sizes: Mapping[str, int]) -> list[Block]:
    """Return the wall time and bytes of each stage, and their sums (stages may have run at the same time)."""
    walls = [
        (stage, float(record["wall_s"]), sizes.get(stage)) for stage, record in records.items() if "wall_s" in record
    ]
    if not walls:
        return []
    walls.append(("sum", sum(seconds for _, seconds, _ in walls), sum(sizes.values()) if sizes else None))
    rows: list[Sequence[Words]] = [
        (
            stage,
            Value(f"{seconds:.2f}", round(seconds, 3)),
            *((NOTHING if count is None else size(count),) if sizes else ()),
        )
        for stage, seconds, count in walls
    ]
    return [Table(("stage", "wall time, s", *(("artifact",) if sizes else ())), rows)]


def _unit(entry: Mapping[str, Any]) -> str:
    return "" if entry.get("unit") == "bytes" else str(entry.get("unit", ""))


def _value(entry: Mapping[str, Any] | None) -> Value:
    if entry is None:
        return NOTHING
    value = float(entry["value"])
    if entry.get("unit") == "bytes":
        return size(int(value))
    return Value(f"{value:,.0f}" if abs(value) >= _WHOLE_FROM else f"{value:.2f}", value)
