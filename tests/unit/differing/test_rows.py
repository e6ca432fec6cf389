"""Rows against rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.differing.rows import NoRowsError, RowDifferences, differing_rows


def compare(folder: Path, first: Sequence[Any], second: Sequence[Any]) -> RowDifferences:
    """Write both sides and compare them."""
    for name, rows in (("first", first), ("second", second)):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return differing_rows(folder / "first.jsonl", folder / "second.jsonl")


def row(identity: int, title: str) -> dict[str, Any]:
    """Return a row with an id."""
    return {"id": identity, "title": title}


def test_a_changed_row_is_found_by_its_id(tmp_path: Path) -> None:
    """Its lines on both sides, and the field."""
    found = compare(tmp_path, [row(1, "春"), row(2, "夏")], [row(2, "秋"), row(1, "春")])
    ((name, here, there, (field,)),) = found.changed
    assert (name, here, there, field.path, field.first, field.second) == (2, 2, 1, "title", "夏", "秋")
    assert found.moved


def test_rows_of_one_side_only(tmp_path: Path) -> None:
    """With their lines and what they say."""
    found = compare(tmp_path, [row(1, "春"), row(2, "夏")], [row(1, "春"), row(3, "冬")])
    assert [line for line, _ in found.missing] == [2]
    assert "夏" in found.missing[0][1]
    assert "冬" in found.extra[0][1]
    assert found.counts == (2, 2)
    assert not found.moved


def test_without_ids_rows_are_known_by_what_they_say(tmp_path: Path) -> None:
    """And one that stands twice counts twice."""
    found = compare(tmp_path, [{"a": 1}, {"a": 1}, {"a": 2}], [{"a": 2}, {"a": 1}])
    assert [line for line, _ in found.missing] == [2]
    assert (found.extra, found.changed) == ((), ())


def test_ids_that_are_not_unique_are_no_ids(tmp_path: Path) -> None:
    """The content decides."""
    found = compare(tmp_path, [row(1, "a"), row(1, "b")], [row(1, "a"), row(1, "c")])
    assert (len(found.missing), len(found.extra), found.changed) == (1, 1, ())


def test_what_holds_no_rows_is_refused(tmp_path: Path) -> None:
    """The line is named."""
    (tmp_path / "a.jsonl").write_text('{"a": 1}\nno\n')
    with pytest.raises(NoRowsError, match="line 2"):
        differing_rows(tmp_path / "a.jsonl", tmp_path / "a.jsonl")
