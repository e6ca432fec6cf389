"""Two files of JSON rows held against each other, row by row. Only digests and places are kept in memory."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.differing.fields import Field, differing_fields, shown

IDENTITY: Final = "id"
"""The field that names a row in the files of this pipeline."""


class NoRowsError(ValueError):
    """A file does not hold one JSON value in each line."""


@dataclass(frozen=True)
class _Row:
    line: int
    start: int
    digest: bytes


@dataclass(frozen=True)
class RowDifferences:
    """`missing`, `extra`: rows of one side only, as (line, text); `changed`: (id, line here, line there, fields).

    `moved` says that the rows are the same ones in another order.
    """

    missing: tuple[tuple[int, str], ...]
    extra: tuple[tuple[int, str], ...]
    changed: tuple[tuple[str | int, int, int, tuple[Field, ...]], ...]
    counts: tuple[int, int]
    moved: bool

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "rows": list(self.counts),
            "missing": [{"line": line, "row": text} for line, text in self.missing],
            "extra": [{"line": line, "row": text} for line, text in self.extra],
            "changed": [
                {"id": name, "lines": [here, there], "fields": [one.to_json() for one in fields]}
                for name, here, there, fields in self.changed
            ],
            "moved": self.moved,
        }


def differing_rows(first: Path, second: Path) -> RowDifferences:
    """Compare two JSON-lines files. Rows are known by `id` where every row of both has one of its own, else by content.

    Raises NoRowsError.
    """
    by_id = _index(first, IDENTITY), _index(second, IDENTITY)
    here, there = (
        (by_id[0], by_id[1]) if by_id[0] is not None and by_id[1] is not None else (_contents(first), _contents(second))
    )
    changed = [name for name, row in here.items() if name in there and there[name].digest != row.digest]
    shared = [name for name in here if name in there]
    return RowDifferences(
        _only(first, here, there),
        _only(second, there, here),
        tuple(_changed(first, second, name, here[name], there[name]) for name in changed),
        (len(here), len(there)),
        shared != [name for name in there if name in here],
    )


def _only(path: Path, rows: Mapping[str, _Row], others: Mapping[str, _Row]) -> tuple[tuple[int, str], ...]:
    return tuple((row.line, shown(_read(path, row))) for name, row in rows.items() if name not in others)


def _changed(
    first: Path, second: Path, name: str, here: _Row, there: _Row
) -> tuple[str | int, int, int, tuple[Field, ...]]:
    fields = differing_fields(json.loads(_read(first, here)), json.loads(_read(second, there)))
    return json.loads(name), here.line, there.line, tuple(fields)


def _index(path: Path, key: str) -> dict[str, _Row] | None:
    """Return the rows by a field's value (as JSON), or None where it does not name every row."""
    found: dict[str, _Row] = {}
    for row, value in _rows(path):
        if not isinstance(value, dict) or key not in value:
            return None
        name = json.dumps(value[key])
        if name in found:
            return None
        found[name] = row
    return found


def _contents(path: Path) -> dict[str, _Row]:
    """Return the rows by their digest; the second of two equal rows counts as a row of its own."""
    seen: Counter[bytes] = Counter()
    found = {}
    for row, _ in _rows(path):
        seen[row.digest] += 1
        found[f"{row.digest.hex()}-{seen[row.digest]}"] = row
    return found


def _rows(path: Path) -> Iterator[tuple[_Row, Any]]:
    start = 0
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            try:
                value = json.loads(line)
            except ValueError as error:
                message = f"{path.name}, line {number}: {error}"
                raise NoRowsError(message) from error
            yield _Row(number, start, hashlib.sha256(line.strip()).digest()), value
            start += len(line)


def _read(path: Path, row: _Row) -> str:
    with path.open("rb") as stream:
        stream.seek(row.start)
        return stream.readline().decode().rstrip("\r\n")
