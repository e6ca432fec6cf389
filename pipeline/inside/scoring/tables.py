"""The same numbers as CSV, for a spreadsheet: one row for each comparison, one for each answer of the base.

The files begin with a byte order mark. Without one Excel on a Japanese Windows reads a CSV file as CP932 and shows
`莨夂､ｾ` for `会社`; pandas skips it. Python's `csv` wants `encoding="utf-8-sig"`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .measures import MEASURES

_ANSWER_MEASURES = [
    name for name, measure in MEASURES.items() if measure.level == "answer" and not measure.unanswerable
]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_ENCODING = "utf-8-sig"
_RESULTS = ("difference", "low", "high", "pairs", "verdict", "reason")


def write_comparison(path: Path, evaluation: Mapping[str, Any]) -> None:
    """Write `comparison_evaluation.csv`: metric, its unit and better direction, two forms, difference, verdict."""
    header = ("metric", "unit", "better", "against", "form", "value_against", "value", *_RESULTS)
    rows = [
        (
            name,
            metric["unit"],
            metric["better"],
            one["against"],
            one["form"],
            *(metric["values"][one[side]]["value"] for side in ("against", "form")),
            *(one[key] for key in _RESULTS),
        )
        for name, metric in evaluation["metrics"].items()
        for one in metric["differences"]
    ]
    _write(path, header, rows)


def write_answers(path: Path, answers: Iterable[Mapping[str, Any]], form: str) -> None:
    """Write one form's answers with their scores; an empty cell is not measured.

    The question is what the row's input columns hold; of several each stands in a line with its name before it.
    Texts are written so that a spreadsheet computes none: `'` goes before a first sign of a formula.
    """
    header = ("id", "question", "reference", "answer", "stopped", *_ANSWER_MEASURES)
    rows = [
        (
            one["id"],
            _text(_question(one["input"])),
            _text(one["reference"]),
            _text(one["forms"][form]["text"]),
            one["forms"][form]["stopped"],
            *(one["forms"][form]["scores"].get(name) for name in _ANSWER_MEASURES),
        )
        for one in answers
    ]
    _write(path, header, rows)


def _question(columns: Mapping[str, Any]) -> str:
    if len(columns) == 1:
        return str(*columns.values())
    return "\n".join(f"{name}: {value}" for name, value in columns.items())


def _text(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", encoding=_ENCODING, newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
