"""What a person decides is saved at once, names content, and can be taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.overrules import Overrule, raw_id, read_overrules
from pipeline.reviewing.review import Review, Target
from pipeline.reviewing.rows import Wanted
from pipeline.reviewing.static_page import page_copy
from tests.support.review_rows import FILES, FIRST, dropped, review_of, row_index


@pytest.fixture
def review(tmp_path: Path) -> Iterator[Review]:
    """A review of a few rows."""
    found = review_of(tmp_path)
    yield found
    found.rows.close()


def shown(review: Review, kind: str) -> dict[str, Any]:
    """Return the first row of a kind, as the page gets it."""
    row: dict[str, Any] = review.page(Wanted((kind,)), 0, 1)["rows"][0]
    return row


def saved(review: Review) -> list[dict[str, Any]]:
    """Return the lines of the file."""
    return [json.loads(line) for line in review.target.path.read_text(encoding="utf-8").splitlines()]


def test_keeping_a_dropped_row_is_saved(review: Review) -> None:
    """With what a reader of the file wants to know."""
    row = shown(review, "tag-list")
    answer = review.decide(row["n"], overruled=True, reason="  本当に\n題名 ")
    assert (answer["overruled"], answer["reason"]) == ("keep", "本当に 題名")
    (line,) = saved(review)
    assert line.pop("row")
    assert line == {
        "decision": "keep",
        "file": "b.jsonl",
        "line": 2,
        "was": "tag-list",
        "text": "自己紹介｜子育て｜ワーママ",
        "reason": "本当に 題名",
    }


def test_dropping_a_kept_row_is_saved_by_its_id(review: Review) -> None:
    """Its content's digest."""
    review.decide(shown(review, "train")["n"], overruled=True, reason="")
    assert [(line["decision"], line["row"]) for line in saved(review)] == [("drop", FIRST["id"])]


def test_an_overrule_can_be_taken_back_and_made_twice(review: Review) -> None:
    """A second click changes nothing but the reason."""
    number = shown(review, "tag-list")["n"]
    review.decide(number, overruled=True, reason="one")
    assert review.decide(number, overruled=True, reason="two")["reason"] == "two"
    assert len(saved(review)) == 1
    assert review.decide(number, overruled=False, reason="")["overruled"] == ""
    assert saved(review) == []
    assert review.decide(number, overruled=False, reason="")["overruled"] == ""


@pytest.mark.parametrize("kind", ["exact-duplicate", "broken-json"])
def test_what_cannot_be_kept_is_refused_with_the_reason(review: Review, kind: str) -> None:
    """And nothing is saved."""
    row = shown(review, kind)
    assert row["final"]
    with pytest.raises(UsageError, match=f"dropped as {kind} cannot be kept"):
        review.decide(row["n"], overruled=True, reason="")
    assert not review.target.path.exists()


def test_an_overrule_that_was_refused_can_be_taken_back(review: Review) -> None:
    """Also of a row that cannot be kept: a person wrote it by hand, or the row's fault came later."""
    row = shown(review, "exact-duplicate")
    raw = next(one["raw"] for one in FILES["dropped"] if one["reason"] == "exact-duplicate")
    review.target.path.write_text(Overrule("keep", raw_id(raw)).to_line())
    assert shown(review, "exact-duplicate")["overruled"] == "keep"
    assert review.decide(row["n"], overruled=False, reason="")["overruled"] == ""
    assert saved(review) == []


def test_a_row_that_is_not_there_is_refused(review: Review) -> None:
    """Of another build, say."""
    with pytest.raises(UsageError, match="no such row"):
        review.decide(99, overruled=True, reason="")


def test_a_shipped_recipe_is_read_only(tmp_path: Path) -> None:
    """Nothing is written into the package."""
    target = Target(tmp_path / "overrules.jsonl", tmp_path / ".lock", why_not="copy it first")
    review = review_of(tmp_path, target=target)
    with pytest.raises(UsageError, match="nothing can be overruled here") as caught:
        review.decide(shown(review, "tag-list")["n"], overruled=True, reason="")
    assert caught.value.advice == "copy it first"
    assert not target.path.exists()
    review.rows.close()


def test_overrules_of_the_build_are_known_and_can_be_taken_back(tmp_path: Path) -> None:
    """A row that is kept only because of a person says so; what is taken back can be made again, as it was."""
    place = {"source": "b.jsonl", "line": 1, "reason": "tag-list", "id": FIRST["id"]}
    entry = {"decision": "keep", "row": "0" * 16, "number": 1, "state": "applied", "why": "", "rows": [place]}
    review = review_of(tmp_path, applied=[entry])
    review.target.path.write_text('{"decision": "keep", "row": "0000000000000000"}\n')
    row = shown(review, "train")
    assert (row["kept"], row["built"], row["overruled"]) == (True, "keep", "keep")
    assert review.summary()["overrules"]["not_built"] == 0
    assert review.decide(row["n"], overruled=False, reason="")["overruled"] == ""
    assert review.summary()["overrules"]["not_built"] == 1
    assert review.decide(row["n"], overruled=True, reason="")["overruled"] == "keep"
    assert [one.key for one in read_overrules(review.target.path)] == [("keep", "0" * 16)]
    review.rows.close()


def test_overrules_without_effect_are_listed(tmp_path: Path) -> None:
    """With the line in the file, and why."""
    stale = {"decision": "drop", "row": "1" * 16, "number": 3, "state": "stale", "why": "no raw row", "rows": []}
    review = review_of(tmp_path, applied=[stale])
    assert review.summary()["overrules"]["without_effect"] == ["3: stale, no raw row"]
    review.rows.close()


def test_a_damaged_file_is_told_and_rows_are_still_shown(review: Review) -> None:
    """A person may be in the middle of editing it."""
    review.target.path.write_text("{\n")
    assert "line 1: not a JSON object" in review.summary()["overrules"]["problem"]
    assert review.page(Wanted(), 0, 50)["total"] == sum(map(len, FILES.values()))


def test_half_a_surrogate_pair_can_be_shown_and_written(tmp_path: Path) -> None:
    """JSON escapes can hold one, of a row as of a reason; no file can."""
    files = {**FILES, "dropped": [{**dropped(2, "", "too-short"), "raw": r'{"theme": "\ud800", "title": "\udfff"}'}]}
    review = review_of(tmp_path, rows=row_index(tmp_path / "other", files))
    row = shown(review, "too-short")
    assert (row["input"], row["output"]) == ({"theme": "?"}, "?")
    assert review.decide(row["n"], overruled=True, reason="\ud800")["reason"] == "?"
    assert "?" in page_copy(review)
    review.rows.close()


def test_a_broken_row_is_shown_raw(review: Review) -> None:
    """Others by their columns, with the twin of a duplicate."""
    assert shown(review, "broken-json")["raw"] == '{"theme": '
    near = shown(review, "near-duplicate")
    assert near["input"] == {"theme": "題5"}
    assert near["twin"] == {"place": "b.jsonl:1", "text": FIRST["output"]}
