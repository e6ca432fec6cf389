"""The gate on facts: each reference answer holds what it must, and nothing that it must not."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.gates.judging import Check, read_mapping
from pipeline.gates.verdict import Evidence, Gate, Verdict


def facts(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when a clean row's own answer does not hold its facts: a right answer would be scored as wrong.

    A recipe without columns of facts gives no verdict.
    """
    columns = evidence.recipe.columns
    if columns.must_contain is None and columns.must_not_contain is None:
        return ()
    check = Check("data.facts", "reference answers", "rows", "0 without their own facts", "seed 004: 設立年")
    found = (read_mapping(evidence.folder, "audit.json") or {}).get("facts")
    if found is None:
        return (check.not_measured("audit.json is missing, or does not tell of facts"),)
    rows = sum(found["rows"].values())
    if not rows:
        return (check.not_measured("no clean row has facts", "fill the columns, or take them out of [columns]"),)
    counts = ", ".join(f"{count} in {split}" for split, count in found["rows"].items())
    return (
        check.judged(
            found["count"],
            fails=found["count"] > 0,
            cause="a reference answer lacks a fact that it must hold, or holds a forbidden one: a right answer would be"
            " scored as wrong",
            advice="correct the row's facts or its answer; add the variant that the answer uses",
            evidence=[f"{rows} rows with facts: {counts}", *found["examples"]],
        ),
    )


fact_gates: tuple[Gate, ...] = (facts,)
