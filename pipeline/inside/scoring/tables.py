"""The same numbers as CSV, for a spreadsheet: one row for each comparison, one for each answer of the base."""

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

    Texts are written so that a spreadsheet computes none: `'` goes before a first sign of a formula.
    """
    header = ("id", "reference", "answer", "stopped", *_ANSWER_MEASURES)
    rows = [
        (
            one["id"],
            _text(one["reference"]),
            _text(one["forms"][form]["text"]),
            one["forms"][form]["stopped"],
            *(one["forms"][form]["scores"].get(name) for name in _ANSWER_MEASURES),
        )
        for one in answers
    ]
    _write(path, header, rows)


def _text(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
