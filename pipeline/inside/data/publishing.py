"""The table to files: splits, dropped rows, the funnel's counts and the sample for the eye."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..job import write_json, write_jsonl
from .arrow import integers, numbers, strings
from .batch import Notes
from .characters import Integers
from .deduplicating import Duplicates
from .overruling import outcomes
from .parallel import in_order
from .reasons import DUPLICATES, REASONS
from .rows import Table
from .splitting import SPLITS, Shares, group_links, split, units_of
from .writing import (
    Identities,
    LineWriter,
    choices,
    content,
    id_text,
    id_texts,
    json_strings,
    objects,
    told_apart,
    whole_numbers,
)

_CHUNK_ROWS: Final = 25_000
REVIEW_KEPT: Final = 60
REVIEW_PER_REASON: Final = 10


def publish(
    folder: Path,
    table: Table,
    duplicates: Duplicates,
    shares: Shares,
    notes: Notes,
    entries: Sequence[dict[str, Any]] | None = None,
    threads: int = 1,
) -> dict[str, Any]:
    """Write the splits, `dropped.jsonl` and `review.jsonl`; return the funnel.

    With a person's overrules (`entries`) also `overrules.json`: what became of each.
    """
    kept = table.kept()
    ids = told_apart(table.ids[kept])
    splits = _splits(table, kept, ids, duplicates, shares)
    _write_kept(folder, table, kept, ids, splits, threads)
    dropped = np.flatnonzero(table.reason != 0)
    _write_dropped(folder, table, dropped, duplicates.of, kept, ids, threads)
    _write_review(folder, table, kept, splits, ids, shares.seed)
    funnel = _funnel(table, splits, duplicates, notes)
    if entries is None:
        return funnel
    found = outcomes(table, entries, duplicates, kept, ids)
    write_json(folder / "overrules.json", found)
    states = Counter(entry["state"] for entry in found["entries"])
    told = {"kept": found["kept"], "dropped": found["dropped"], "states": dict(sorted(states.items()))}
    return {**funnel, "overrules": told}


def _chunks(rows: Integers) -> Iterator[Integers]:
    for start in range(0, len(rows), _CHUNK_ROWS):
        yield rows[start : start + _CHUNK_ROWS]


def _label(table: Table, rows: Integers, name: str | None) -> Integers:
    """Return a column's values as numbers in the order of the sorted values; null (or no column) is -1."""
    if name is None:
        return np.full(len(rows), -1, np.int64)
    encoded = table.fields[name].take(integers(rows)).dictionary_encode()
    order = np.argsort(np.array(encoded.dictionary.to_pylist(), dtype=object), kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    found = np.full(len(rows), -1, np.int64)
    filled = numbers(encoded.indices.is_valid())
    found[filled] = rank[numbers(encoded.indices)[filled]]
    return found


def _splits(
    table: Table, kept: Integers, ids: Identities, duplicates: Duplicates, shares: Shares
) -> npt.NDArray[np.uint8]:
    """Return the split of each kept row."""
    links = duplicates.links
    groups = group_links(_label(table, kept, table.columns.group))
    units = units_of(len(table), np.concatenate([links, kept[groups]]))[kept]
    return split(ids, _label(table, kept, table.columns.category) + 1, units, shares)


def _write_kept(folder: Path, table: Table, kept: Integers, ids: Identities, splits: Any, threads: int) -> None:
    def lines(part: Integers) -> pa.Array:
        rows = kept[part]
        fields = {name: column.take(integers(rows)) for name, column in table.fields.items()}
        said = content(fields, table.columns.input, table.columns.output)
        return objects(_origin(table, rows) | said | {"id": json_strings(id_texts(ids[part]))})

    for number, name in enumerate(SPLITS):
        _write(folder / f"{name}.jsonl", lines, np.flatnonzero(splits == number), threads)


def _write(path: Path, lines: Callable[[Integers], pa.Array], rows: Integers, threads: int) -> None:
    with LineWriter(path) as out:
        for part in in_order(lines, _chunks(rows), threads):
            out.write(part)


def _origin(table: Table, rows: Integers) -> dict[str, pa.Array]:
    members = {
        "source": choices(table.file[rows].astype(np.int64), table.files),
        "line": whole_numbers(table.line[rows]),
    }
    for key, name in (("category", table.columns.category), ("group", table.columns.group)):
        values = strings([None] * len(rows)) if name is None else table.fields[name].take(integers(rows))
        members[key] = json_strings(values)
    if table.columns.facts:
        members["facts"] = _facts(table, rows)
    return members


def _facts(table: Table, rows: Integers) -> pa.Array:
    """Return what the answers must hold and must not hold, as JSON: an object of lists, `null` where there is none."""
    columns = [table.fields[name].take(integers(rows)).to_pylist() for name in table.columns.facts.values()]
    cells = []
    for texts in zip(*columns, strict=True):
        named = zip(table.columns.facts, texts, strict=True)
        members = ", ".join(f'"{member}": {text}' for member, text in named if text is not None)
        cells.append(f"{{{members}}}" if members else "null")
    return strings(cells)


def _write_dropped(
    folder: Path, table: Table, dropped: Integers, of: Integers, kept: Integers, ids: Identities, threads: int
) -> None:
    names = pa.concat_arrays([id_texts(ids), strings([None])])  # the last: a row that is no duplicate of a kept one
    for row in dropped[of[dropped] >= 0].tolist():
        table.details[row] = f"of {table.place(int(of[row]))}"

    def lines(rows: Integers) -> pa.Array:
        place = np.where(of[rows] < 0, len(kept), np.searchsorted(kept, of[rows]))
        members = {
            "source": choices(table.file[rows].astype(np.int64), table.files),
            "line": whole_numbers(table.line[rows]),
            "reason": choices(table.reason[rows].astype(np.int64), REASONS),
            "detail": json_strings(strings([table.details.get(row, "") for row in rows.tolist()])),
            "raw": json_strings(table.raw.take(integers(rows))),
            "of": json_strings(names.take(integers(place))),
        }
        return objects(members)

    _write(folder / "dropped.jsonl", lines, dropped, threads)


def _write_review(folder: Path, table: Table, kept: Integers, splits: Any, ids: Identities, seed: int) -> None:
    """Write a seeded sample: 60 kept rows, and 10 dropped ones of each reason."""
    chance = random.Random(seed)
    rows = []
    for place in sorted(chance.sample(range(len(kept)), min(REVIEW_KEPT, len(kept)))):
        row = int(kept[place])
        fields = {name: table.fields[name][row].as_py() for name in table.columns.all}
        rows.append(
            {
                "kind": "kept",
                "split": SPLITS[splits[place]],
                "id": id_text(int(ids[place])),
                "place": table.place(row),
                "fields": fields,
            }
        )
    for code, reason in enumerate(REASONS):
        found = np.flatnonzero(table.reason == code) if code else np.zeros(0, np.int64)
        for row in sorted(chance.sample(found.tolist(), min(REVIEW_PER_REASON, len(found)))):
            detail = table.details.get(row, "")
            rows.append(
                {
                    "kind": "dropped",
                    "reason": reason,
                    "detail": detail,
                    "place": table.place(row),
                    "raw": table.raw[row].as_py(),
                }
            )
    write_jsonl(folder / "review.jsonl", rows)


def _funnel(table: Table, splits: Any, duplicates: Duplicates, notes: Notes) -> dict[str, Any]:
    counts = np.bincount(table.reason, minlength=len(REASONS)).tolist()
    reasons = {name: count for name, count in zip(REASONS[1:], counts[1:], strict=True) if count}
    held = dict(zip(SPLITS, np.bincount(splits, minlength=len(SPLITS)).tolist(), strict=True))
    dropped = sum(reasons.values())
    if len(table) != sum(held.values()) + dropped:
        raise AssertionError("a row vanished")  # a programmer's mistake: every row is in the table once
    unusable = sum(count for name, count in reasons.items() if name not in DUPLICATES)
    return {
        "rows_in": len(table),
        "kept": sum(held.values()),
        "dropped": dropped,
        "reasons": reasons,
        "contaminated": unusable,
        "splits": held,
        "files": dict(zip(table.files, np.bincount(table.file, minlength=len(table.files)).tolist(), strict=True)),
        "byte_order_marks": notes.byte_order_marks,
        "blank_lines": notes.blank_lines,
        "near_duplicates": {"candidates": duplicates.candidates, "unfinished": duplicates.unfinished},
    }
