"""Tables for a spreadsheet."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from pipeline.inside.scoring.tables import write_answers


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "節約=貯金"])
def test_a_spreadsheet_computes_no_answer(tmp_path: Path, text: str) -> None:
    """What a model writes, or a row holds, may look like a formula; any other text stays as it is."""
    form = {"text": text, "stopped": "terminator", "scores": {}}
    path = tmp_path / "answers.csv"
    write_answers(path, [{"id": "1", "reference": text, "forms": {"verify-base": form}}], "verify-base")
    with path.open(encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)
    written = text if text[0] == "節" else f"'{text}"
    assert (row["answer"], row["reference"]) == (written, written)
