"""Tables for a spreadsheet."""

from __future__ import annotations

import codecs
import csv
from pathlib import Path

import pytest

from pipeline.inside.scoring.tables import write_answers, write_comparison


def read(path: Path) -> list[dict[str, str]]:
    """Return a table's rows."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "節約=貯金"])
def test_a_spreadsheet_computes_no_answer(tmp_path: Path, text: str) -> None:
    """What a model writes, or a row holds, may look like a formula; any other text stays as it is."""
    form = {"text": text, "stopped": "terminator", "scores": {}}
    path = tmp_path / "answers.csv"
    one = {"id": "1", "input": {"theme": text}, "reference": text, "forms": {"verify-base": form}}
    write_answers(path, [one], "verify-base")
    (row,) = read(path)
    written = text if text[0] == "節" else f"'{text}"
    assert (row["question"], row["answer"], row["reference"]) == (written, written, written)


def test_each_answer_stands_beside_its_question(tmp_path: Path) -> None:
    """One input column is the question; of several each is named, as the row's file names it."""
    form = {"text": "186人です。", "stopped": "terminator", "scores": {"length": 6}}
    asked = ({"question": "社員数は？"}, {"title": "社員", "body": "何人ですか。"})
    rows = [{"id": str(at), "input": one, "reference": "", "forms": {"f": form}} for at, one in enumerate(asked)]
    write_answers(tmp_path / "answers.csv", rows, "f")
    assert [row["question"] for row in read(tmp_path / "answers.csv")] == [
        "社員数は？",
        "title: 社員\nbody: 何人ですか。",
    ]


def test_excel_on_a_japanese_windows_reads_it_as_utf_8(tmp_path: Path) -> None:
    """By the mark before everything else; without one it takes CP932."""
    write_answers(tmp_path / "answers.csv", [], "verify-base")
    write_comparison(tmp_path / "comparison.csv", {"metrics": {}})
    for name in ("answers.csv", "comparison.csv"):
        data = (tmp_path / name).read_bytes()
        assert data.startswith(codecs.BOM_UTF8)
        assert data.count(codecs.BOM_UTF8) == 1
