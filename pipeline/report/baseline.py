"""The section on the untuned base, for a build that has no tuned model yet."""

from __future__ import annotations

from pipeline.report.artifacts import Artifacts
from pipeline.report.blocks import Paragraph, Section, Table
from pipeline.report.quantities import number


def baseline_section(artifacts: Artifacts) -> Section | None:
    """Return the base's metrics beside those of the references; None where the base stands beside a tuned model."""
    found = artifacts.json("evaluate-base", "baseline.json")
    if not found or artifacts.json("evaluate", "evaluation.json"):
        return None
    rows = []
    for name in found["order"]:
        metric = found["metrics"][name]
        base, references = (metric["values"].get(form, {}).get("value") for form in ("verify-base", "references"))
        if base is not None:
            rows.append((name, metric["unit"], number(base), number(references)))
    told = ("The untuned base on ", number(found["prompts"]), " held-out prompts, before the training.")
    return Section("Baseline", (Paragraph(told), Table(("metric", "unit", "base", "references"), rows)))
