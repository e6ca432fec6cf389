"""The sections on gates: what needs attention first, then every verdict, then where the limits come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.report.artifacts import Artifacts
from pipeline.report.markdown import code, escaped, number, table

EVIDENCE_LINES = 3
_EVIDENCE_CHARS = 160


def attention_section(artifacts: Artifacts, *, show_rows: bool) -> str:
    """Return failures, then what was not measured and exceptions, then warnings; each with cause and advice.

    Evidence may quote rows and answers, so it is shown only where the recipe shows rows.
    """
    found = artifacts.all_verdicts()
    order = ("failed", "waived", "warned", "not measured")
    listed = [(stage, verdict) for outcome in order for stage, verdict in found if verdict["outcome"] == outcome]
    if not listed:
        return "## What needs attention\n\nNothing." if found else "## What needs attention\n\nNothing was judged."
    items = [_item(stages, verdict, show_rows=show_rows) for stages, verdict in _together(listed)]
    return "## What needs attention\n\n" + "\n".join(items)


def _together(listed: Sequence[tuple[str, Mapping[str, Any]]]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return one entry for verdicts that differ in nothing but their stage, with all their stages."""
    stages: dict[str, list[str]] = {}
    verdicts: dict[str, Mapping[str, Any]] = {}
    for stage, verdict in listed:
        same = json.dumps(verdict, sort_keys=True)
        stages.setdefault(same, []).append(stage)
        verdicts[same] = verdict
    return [(", ".join(names), verdicts[same]) for same, names in stages.items()]


def _item(stages: str, verdict: Mapping[str, Any], *, show_rows: bool) -> str:
    value = "" if verdict["value"] is None else f": {number(verdict['value'])} {escaped(verdict['unit'])}"
    lines = [f"- **{verdict['outcome']}** {code(verdict['gate'])} in {stages}, {escaped(verdict['subject'])}{value}"]
    if verdict["outcome"] != "not measured":
        lines.append(f"  - limit: {escaped(verdict['limit'])}")
    reason = "reason" if verdict["outcome"] == "not measured" else "cause"
    told = {reason: verdict["cause"], "do": verdict["advice"], "waived because": verdict["waiver"]}
    lines += [f"  - {name}: {escaped(text)}" for name, text in told.items() if text]
    evidence = verdict["evidence"][:EVIDENCE_LINES] if show_rows else ()
    lines += [f"  - see: {escaped(text, _EVIDENCE_CHARS)}" for text in evidence]
    return "\n".join(lines)


def gates_section(artifacts: Artifacts) -> str:
    """Return every verdict, stage by stage."""
    parts = ["## Gates"]
    for stage, verdicts in artifacts.verdicts.items():
        if verdicts:
            rows = [_row(verdict) for verdict in verdicts]
            header = ("verdict", "gate", "of what", "value", "unit", "limit")
            parts.append(f"### {stage}\n\n" + table(header, rows, right=(3,)))
    return "\n\n".join(parts) if len(parts) > 1 else "## Gates\n\nNo gate has answered."


def _row(verdict: Mapping[str, Any]) -> tuple[str, ...]:
    outcome = verdict["outcome"] if verdict["outcome"] == "passed" else f"**{verdict['outcome']}**"
    return (
        outcome,
        code(verdict["gate"]),
        escaped(verdict["subject"]),
        number(verdict["value"]),
        escaped(verdict["unit"]),
        escaped(verdict["limit"]),
    )


def sources_section(artifacts: Artifacts) -> str:
    """Return where each gate's limit comes from, once per gate and source."""
    found = {(verdict["gate"], verdict["source"]): None for _, verdict in artifacts.all_verdicts() if verdict["source"]}
    if not found:
        return ""
    lines = [f"- {code(gate)}: {escaped(source)}" for gate, source in sorted(found)]
    return "## Where the limits come from\n\n" + "\n".join(lines)
