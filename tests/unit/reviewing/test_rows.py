"""Rows are found on disk, page by page, in the order of the raw files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.reviewing.rows import SAMPLE_DROPPED, SAMPLE_KEPT, RowIndex, Wanted
from tests.support.review_rows import FILES, FIRST, PLACES, dropped, kept, row_index


@pytest.fixture
def index(tmp_path: Path) -> Iterator[RowIndex]:
    """The index of a few rows."""
    found = row_index(tmp_path)
    yield found
    found.close()


def places(index: RowIndex, numbers: list[int]) -> list[str]:
    """Return file and line of rows."""
    rows = [index.row(number) for number in numbers]
    return [f"{row['source']}:{row['line']}" for row in rows if row is not None]


def test_kept_and_dropped_rows_come_in_the_order_of_the_raw_files(index: RowIndex) -> None:
    """The recipe's first file first; none is missing."""
    total, numbers = index.find(Wanted(), 0, 100)
    assert (total, places(index, numbers)) == (9, PLACES)


def test_a_page_is_a_part_of_them(index: RowIndex) -> None:
    """With the number of all."""
    total, numbers = index.find(Wanted(), 4, 3)
    assert (total, places(index, numbers)) == (9, PLACES[4:7])
    assert index.find(Wanted(), 9, 3) == (9, [])


def test_kinds_are_splits_and_reasons(index: RowIndex) -> None:
    """Several may be asked for; one that no row has finds none."""
    assert places(index, index.find(Wanted(("test", "tag-list")), 0, 9)[1]) == ["b.jsonl:2", "b.jsonl:7"]
    assert index.find(Wanted(("mojibake",)), 0, 9) == (0, [])
    assert dict(index.counts) == {
        "train": 3,
        "validation": 1,
        "test": 1,
        "tag-list": 1,
        "exact-duplicate": 1,
        "near-duplicate": 1,
        "broken-json": 1,
    }


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("散歩", ["b.jsonl:1", "b.jsonl:3", "b.jsonl:5"]),
        ("abcから", ["a.jsonl:2"]),
        ("題6", ["b.jsonl:6"]),
        ("%", []),
        ("' OR 1=1 --", []),
    ],
)
def test_texts_are_searched_as_they_are_read(index: RowIndex, text: str, found: list[str]) -> None:
    """Inputs and answers, whatever the width and case; nothing is a pattern, nothing reaches the database as words."""
    assert places(index, index.find(Wanted((), text), 0, 9)[1]) == found


def test_search_and_kinds_go_together(index: RowIndex) -> None:
    """Both must hold."""
    assert places(index, index.find(Wanted(("near-duplicate", "test"), "散歩"), 0, 9)[1]) == ["b.jsonl:5"]


def test_a_duplicate_shows_its_twin(index: RowIndex) -> None:
    """The kept row for whose sake it was dropped."""
    (number,) = index.find(Wanted(("near-duplicate",)), 0, 9)[1]
    row = index.row(number)
    assert row is not None
    twin = index.twin(row)
    assert twin is not None
    assert twin["id"] == FIRST["id"]


def test_no_row_has_an_unknown_number(index: RowIndex) -> None:
    """It is no error."""
    assert index.row(12345678) is None


def test_the_sample_is_of_both_kinds_and_seeded(tmp_path: Path) -> None:
    """Every reason has its share, the rarest whole; those that can be overruled come first, kept rows last."""
    files = {
        "train": [kept(number, f"{number}年") for number in range(1000, 1300)],
        "validation": [],
        "test": [],
        "dropped": [
            *(dropped(number, "a", "empty") for number in range(1, 200)),
            *(dropped(number, "a", "tag-list") for number in range(200, 400)),
            *(dropped(number, "a", "mojibake") for number in range(400, 402)),
        ],
    }
    index = row_index(tmp_path, files)
    rows = [index.row(number) or {} for number in index.sample(7)]
    kinds = [row["kind"] for row in rows]
    assert len(kinds) == SAMPLE_KEPT + SAMPLE_DROPPED
    assert kinds == ["mojibake"] * 2 + ["tag-list"] * 24 + ["empty"] * 24 + ["train"] * SAMPLE_KEPT
    again = row_index(tmp_path / "rows", files)
    assert again.sample(7) == index.sample(7) != index.sample(8)
    index.close()
    again.close()


def test_a_set_without_rows_is_no_error(tmp_path: Path) -> None:
    """Its gate says what to do."""
    index = row_index(tmp_path, {name: [] for name in FILES})
    assert (index.find(Wanted(), 0, 9), index.sample(1)) == ((0, []), [])
    index.close()
