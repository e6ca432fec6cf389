"""What a person decided against the cleaning: rows that stay all the same, rows that go all the same.

An overrule names a row by its content, never by its place. One that keeps names a dropped row by the digest of what
`dropped.jsonl` shows of it (its raw text, at most `RAW_CHARS` characters); one that drops names a kept row by the
digest of its input and output, which is its `id`. Each speaks of every row with that content.

A kept row is spared from every reason but those in `reasons.FINAL`, and no other row is dropped for its sake as a near
duplicate: keeping a row costs no other one. What is near it lies in its split. A row that is dropped goes before
duplicates are looked for, so a duplicate of it may take its place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from .batch import Batch, Columns
from .characters import Bools, Integers
from .cleaning import Clean, Settings, clean
from .deduplicating import Duplicates
from .reasons import CODES, FINAL, KEPT, REASONS
from .rows import Spoken, Table
from .writing import Identities, id_text

FORGIVEN: Final = frozenset(REASONS) - frozenset(FINAL)
_PERSON: Final = "a person dropped it"


@dataclass(frozen=True)
class Overrules:
    """What a person decided. Both tables give the number of the overrule that names a row."""

    keep: dict[str, int]
    drop: dict[int, int]

    @classmethod
    def of(cls, entries: Sequence[dict[str, Any]]) -> Overrules:
        """Read the entries of `fetch-overrules`; the host has checked them, and that none stands twice."""
        numbered = list(enumerate(entries))
        return cls(
            {entry["row"]: number for number, entry in numbered if entry["decision"] == "keep"},
            {int(entry["row"], 16): number for number, entry in numbered if entry["decision"] == "drop"},
        )


def raw_id(raw: str) -> str:
    """Return the digest that names a dropped row: 16 hex digits over its raw text as `dropped.jsonl` shows it."""
    return hashlib.sha256(raw.encode()).hexdigest()[:16]


def overrule(
    batch: Batch, found: Clean, ids: Identities, columns: Columns, settings: Settings, overrules: Overrules
) -> tuple[Spoken, ...]:
    """Change the verdicts on a batch to what a person decided; return the rows that an overrule speaks of."""
    spoken = _keep(batch, found, columns, settings, overrules) if overrules.keep else []
    if overrules.drop:
        reasons = found.verdicts.reasons
        named = np.flatnonzero(np.isin(ids, np.array(list(overrules.drop), np.uint64)))
        for row in named.tolist():
            spoken.append(Spoken(row, overrules.drop[int(ids[row])], int(reasons[row])))
        mask = np.zeros(len(ids), np.bool_)
        mask[named] = True
        found.verdicts.drop(mask, "overruled", _PERSON)
    return tuple(spoken)


def _keep(batch: Batch, found: Clean, columns: Columns, settings: Settings, overrules: Overrules) -> list[Spoken]:
    """Forgive what can be forgiven of the rows that a person keeps."""
    verdicts = found.verdicts
    numbers = [overrules.keep.get(raw_id(raw)) for raw in batch.raw]
    spoken = [
        Spoken(row, number, int(verdicts.reasons[row])) for row, number in enumerate(numbers) if number is not None
    ]
    dropped = [one.row for one in spoken if batch.reasons[one.row] == KEPT != one.reason]
    if dropped:
        again = clean(batch.take(dropped), columns, settings, FORGIVEN).verdicts
        for place, row in enumerate(dropped):
            verdicts.reasons[row] = again.reasons[place]
            verdicts.details.pop(row)
            if place in again.details:
                verdicts.details[row] = again.details[place]
    return spoken


def spared(table: Table, overrules: Overrules) -> Bools:
    """Return which rows of the table a person keeps."""
    kept = set(overrules.keep.values())
    mask = np.zeros(len(table), np.bool_)
    mask[[one.row for one in table.spoken if one.overrule in kept]] = True
    return mask


def outcomes(
    table: Table,
    entries: Sequence[dict[str, Any]],
    duplicates: Duplicates,
    kept: Integers,
    ids: Identities,
) -> dict[str, Any]:
    """Return what became of each overrule, for `overrules.json`: `applied`, `idle`, `refused` or `stale`, and why."""
    rows: dict[int, list[Spoken]] = {}
    for one in table.spoken:
        near = one.reason == KEPT and duplicates.spared[one.row]
        rows.setdefault(one.overrule, []).append(one._replace(reason=CODES["near-duplicate"]) if near else one)
    names = {row: id_text(int(ids[np.searchsorted(kept, row)])) for row in _kept_rows(table, rows)}
    found = []
    for number, entry in enumerate(entries):
        spoken = rows.get(number, [])
        state, why = (_kept if entry["decision"] == "keep" else _dropped)(table, duplicates, spoken)
        places = [
            {
                "source": table.files[table.file[one.row]],
                "line": int(table.line[one.row]),
                "reason": REASONS[one.reason],
                "id": names.get(one.row),
            }
            for one in spoken
        ]
        found.append({**entry, "state": state, "why": why, "rows": places})
    applied = [entry for entry in found if entry["state"] == "applied"]
    return {
        "entries": found,
        "kept": len({row["id"] for entry in applied for row in entry["rows"] if row["id"] and _is_keep(entry)}),
        "dropped": int(np.count_nonzero(table.reason == CODES["overruled"])),
    }


def _is_keep(entry: dict[str, Any]) -> bool:
    return bool(entry["decision"] == "keep")


def _kept_rows(table: Table, rows: dict[int, list[Spoken]]) -> list[int]:
    return [one.row for spoken in rows.values() for one in spoken if table.reason[one.row] == KEPT]


def _kept(table: Table, duplicates: Duplicates, spoken: list[Spoken]) -> tuple[str, str]:
    """Say what became of an overrule that keeps."""
    if not spoken:
        return "stale", "no raw row has this text"
    kept = [one for one in spoken if table.reason[one.row] == KEPT]
    if any(one.reason != KEPT for one in kept):
        return "applied", ""
    if kept:
        return "idle", "the row is kept without it"
    row = spoken[0].row
    reason = REASONS[table.reason[row]]
    if reason == "overruled":
        return "refused", "another overrule drops the row"
    twin = f" of {table.place(int(duplicates.of[row]))}" if duplicates.of[row] >= 0 else ""
    return "refused", f"{reason}{twin}: {FINAL[reason]}"


def _dropped(table: Table, _: Duplicates, spoken: list[Spoken]) -> tuple[str, str]:
    """Say what became of an overrule that drops."""
    if not spoken:
        return "stale", "no raw row has this input and output"
    if any(table.reason[one.row] == CODES["overruled"] for one in spoken):
        return "applied", ""
    return "idle", f"the row is dropped without it: {REASONS[table.reason[spoken[0].row]]}"
