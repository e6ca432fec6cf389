"""What two runs answered to the same prompts: data rows, so they are shown only where both recipes allow it."""

from __future__ import annotations

from typing import Any

from pipeline.comparing.metrics import by_question
from pipeline.comparing.side import Side


def outputs(first: Side, second: Side) -> dict[str, Any]:
    """Return the shared prompts with both runs' answers of each form, in the order asked; or the reason why not."""
    if absent := [side.name for side in (first, second) if not by_question(side)]:
        return {"rows": [], "reason": f"no evaluated answers of {' and '.join(absent)}"}
    hidden = [side.name for side in (first, second) if not side.shows_rows]
    if hidden:
        why = "report.show_data_rows is off, or no report was made"
        return {"rows": [], "reason": f"they are data rows, and of {' and '.join(hidden)} {why}"}
    answers = [by_question(side) for side in (first, second)]
    rows = []
    for question, row in answers[0].items():
        other = answers[1].get(question)
        if other is not None:
            forms = [form for form in row["forms"] if form in other["forms"]]
            told = {form: {"a": _text(row, form), "b": _text(other, form)} for form in forms}
            rows.append({"id": row["id"], "input": row["input"], "reference": row["reference"], "forms": told})
    return {"rows": rows, "reason": "" if rows else "the two runs have no evaluated prompt in common"}


def _text(row: Any, form: str) -> str:
    answer = row["forms"][form]
    return str(answer["text"]) + ("" if answer["stopped"] == "terminator" else " [cut off]")
