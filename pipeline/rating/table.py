"""Every vote as CSV, for whoever wants to count for himself or to train on what people prefer."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

from pipeline.rating.votes import Vote

COLUMNS: Final = (
    *("vote", "at", "rater", "name", "against", "form", "preferred", "shown_first", "reference_opened", "comment"),
    *("still_there", "digest", "prompt_id", "prompt", "reference", "against_text", "form_text"),
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""How a cell starts that a spreadsheet would compute."""


def table(votes: Sequence[Vote], here: Iterable[str]) -> str:
    """Return the CSV, a vote in a row. `here` has the digests of the answers that the last build has.

    Texts of people and models are written so that a spreadsheet computes none of them: `'` goes before a first `=`,
    `+`, `-`, `@` or control character.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    known = set(here)
    writer.writerows(_row(vote, still_there=vote.digest in known) for vote in votes)
    return stream.getvalue()


def _row(vote: Vote, *, still_there: bool) -> list[str | int]:
    item = vote.item
    return [
        *(vote.number, vote.at, vote.rater, _text(vote.rater_name), item.pair.against, item.pair.form),
        *(vote.preferred, "form" if vote.form_first else "against", int(vote.opened), _text(vote.comment)),
        *(int(still_there), vote.digest, item.prompt_id),
        *map(_text, (item.prompt, item.reference, item.against_text, item.form_text)),
    ]


def _text(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
