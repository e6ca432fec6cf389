"""Votes as CSV: everything of each vote, and nothing that a spreadsheet would compute."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

from pipeline.rating.answers import Item, Pair
from pipeline.rating.table import COLUMNS, table
from pipeline.rating.votes import Vote

ITEM = Item(Pair("base", "tuned"), "p1", "題", "参考", "=1+1", "二行\nの, 答え")


def rows(*votes: Vote, here: set[str]) -> list[dict[str, str]]:
    """Return the rows as a reader of CSV gets them."""
    return list(csv.DictReader(io.StringIO(table(votes, here))))


def vote(**changes: object) -> Vote:
    """Return a vote."""
    found = Vote(7, 2, "花子", ITEM.digest, ITEM, "second", False, "", "2026-01-02T03:04:05Z", True)
    return replace(found, **changes)  # type: ignore[arg-type]


def test_a_row_says_all_of_a_vote() -> None:
    """What was preferred, what stood first, whether the reference was open, and the texts."""
    (row,) = rows(vote(), here={ITEM.digest})
    assert list(row) == list(COLUMNS)
    assert (row["preferred"], row["shown_first"], row["reference_opened"]) == ("form", "against", "1")
    assert (row["name"], row["form_text"], row["still_there"]) == ("花子", "二行\nの, 答え", "1")


def test_votes_on_answers_that_are_gone_are_marked() -> None:
    """They are kept with their texts."""
    (row,) = rows(vote(), here=set())
    assert (row["still_there"], row["against_text"]) == ("0", "'=1+1")


def test_no_cell_is_a_formula() -> None:
    """Raters and models write what they like."""
    (row,) = rows(vote(comment='=HYPERLINK("x")', rater_name="@花子"), here=set())
    assert (row["comment"], row["name"]) == ('\'=HYPERLINK("x")', "'@花子")
