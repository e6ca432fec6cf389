"""The section on data: where it came from, what was dropped and why, how the rest was split."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pipeline.report.artifacts import Artifacts
from pipeline.report.blocks import Badge, Block, Code, Paragraph, Section, Table, Words
from pipeline.report.quantities import number, share, visible

SAMPLES = 3
SPLITS = ("train", "validation", "test")
"""In the order of their use; JSON has sorted them by name."""
_SAMPLE_CHARS = 160


def data_section(artifacts: Artifacts) -> Section:
    """Return the funnel: rows in, dropped by reason, kept, and how the kept ones were split."""
    funnel = artifacts.json("prepare", "funnel.json")
    if not funnel:
        return Section("Data", (Paragraph("Not prepared."),))
    total, kept = funnel["rows_in"], funnel["kept"]
    rows: list[Sequence[Words]] = [("rows in", number(total), share(total, total))]
    for reason, count in sorted(funnel["reasons"].items(), key=_by_count):
        rows.append(("dropped: " + reason, number(-count), share(count, total)))
    rows.append(("kept", number(kept), share(kept, total)))
    if "overrules" in funnel:
        by_person = funnel["overrules"]["kept"]
        rows.append(("of these kept by a person", number(by_person), share(by_person, kept)))
    splits = {split: funnel["splits"][split] for split in SPLITS if split in funnel["splits"]}
    rows += [(f"of these {split}", number(count), share(count, kept)) for split, count in splits.items()]
    blocks = (Table(("rows", "count", "share"), rows), *_sources(artifacts), *_samples(artifacts))
    return Section("Data", blocks)


def _by_count(entry: tuple[str, int]) -> tuple[int, str]:
    return -entry[1], entry[0]


def _sources(artifacts: Artifacts) -> list[Block]:
    source = artifacts.json("fetch-data", "source.json")
    if not source:
        return []
    files = ", ".join(f"{one['name']} (sha256 {one['sha256'][:16]}…)" for one in source.get("files", ()))
    return [Paragraph(f"From {files}; licence {source.get('licence', 'unknown')}.")]


def _samples(artifacts: Artifacts) -> list[Block]:
    """Return the first dropped rows of each reason, where the recipe shows rows."""
    if not artifacts.show_rows:
        return [Paragraph("Dropped rows are not shown: the recipe keeps data rows out of the report.")]
    shown: dict[str, list[Sequence[Words]]] = {}
    for row in artifacts.each_row("prepare", "dropped.jsonl"):
        found = shown.setdefault(str(row["reason"]), [])
        if len(found) < SAMPLES:
            found.append((row["reason"], number(row["line"]), _text(row["raw"]), str(row.get("detail") or "")))
    rows = [row for reason in sorted(shown) for row in shown[reason]]
    if not rows:
        return []
    table = Table(("reason", "line", "row", "found"), [(Badge(str(row[0])), *row[1:]) for row in rows], cards=True)
    return [Section("Samples of dropped rows", (table,), folded=True)]


def _text(raw: object) -> Words:
    """Return a raw row: the fields of a JSON object one after the other, anything else as it is."""
    text = str(raw)
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if isinstance(found, dict):
        text = " / ".join(str(value) for value in found.values())
    return visible(text, _SAMPLE_CHARS) if text.strip() else Code("(empty)")
