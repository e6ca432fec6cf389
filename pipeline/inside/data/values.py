"""Parsed rows to columns of text, with the faults of single values."""

from __future__ import annotations

import json
from typing import Any

from ..scoring.facts.facts import Facts, parse
from .batch import Batch, Columns, Notes
from .reasons import KEPT

_TYPE_NAMES = {bool: "true/false", int: "a number", float: "a number", list: "a list", dict: "an object"}


def fill_fields(batch: Batch, objects: list[dict[str, Any] | None], columns: Columns, notes: Notes) -> None:
    """Set `batch.fields` from one parsed row each (None where the row has a fault already)."""
    for name in columns.all:
        values = [None if row is None else row.get(name) for row in objects]
        if any(row is not None and name in row for row in objects):
            notes.seen.add(name)
        if name in columns.facts.values():
            batch.fields[name] = _facts(batch, name, values)
        else:
            batch.fields[name] = _texts(batch, name, values, required=name in columns.required)
    if len(columns.facts) > 1:
        _check_facts(batch, columns)
    for row in objects[:100]:
        notes.columns.update(row or ())


def _facts(batch: Batch, name: str, values: list[Any]) -> list[str | None]:
    """Return facts as JSON: a list of lists of variants; None where a row has none."""
    found: list[str | None] = [None] * len(values)
    for row, value in enumerate(values):
        try:
            facts = parse(value)
        except ValueError as error:
            batch.drop(row, "wrong-type", f"{name!r}: {error}")
            continue
        if facts:
            found[row] = json.dumps(facts, ensure_ascii=False)
    return found


def _check_facts(batch: Batch, columns: Columns) -> None:
    """Drop the rows of which a fact must stand in the answer and must not."""
    both = zip(*(batch.fields[name] for name in columns.facts.values()), strict=True)
    for row, texts in enumerate(both):
        if None in texts:
            continue
        cells = zip(columns.facts, texts, strict=True)
        wrong = Facts.of({member: json.loads(text) for member, text in cells if text}).contradictions()
        if wrong:
            batch.drop(row, "contradicting-facts", f"must and must not be in the answer: {'; '.join(wrong)}"[:500])


def _texts(batch: Batch, name: str, values: list[Any], *, required: bool) -> list[str | None]:
    kinds = set(map(type, values))
    if not kinds <= {str}:
        for row, value in enumerate(values):
            if type(value) is not str:
                values[row] = _not_text(batch, row, name, value, required=required)
    try:
        "".join(values if kinds == {str} else [value or "" for value in values]).encode()
    except UnicodeEncodeError:
        for row, value in enumerate(values):
            values[row] = _encodable(batch, row, name, value)
    return values


def _not_text(batch: Batch, row: int, name: str, value: Any, *, required: bool) -> str | None:
    """Judge a value that is no string: labels take null and numbers, the other columns take neither."""
    if value is None:
        if required and batch.reasons[row] == KEPT:
            batch.drop(row, "missing-field", f"no value for {name!r}")
        return None
    if not required and isinstance(value, (bool, int, float)):
        return json.dumps(value)
    batch.drop(row, "wrong-type", f"{name!r} is {_TYPE_NAMES.get(type(value), type(value).__name__)}, text expected")
    return None


def _encodable(batch: Batch, row: int, name: str, value: str | None) -> str | None:
    try:
        (value or "").encode()
    except UnicodeEncodeError:
        batch.drop(row, "invalid-utf8", f"{name!r} holds half of a surrogate pair")
        return None
    return value
