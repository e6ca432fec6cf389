"""Rows to JSON lines, a column at a time: the same bytes as `json.dumps(row, sort_keys=True)`, many times as fast."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .arrow import integers, numbers, strings, text
from .characters import Integers

_ESCAPED: Final = r'["\\\x00-\x1f]'


def json_strings(column: pa.Array) -> pa.Array:
    """Return a string column as JSON strings; null becomes `null`."""
    quoted = pc.binary_join_element_wise(text('"'), column, text('"'), text(""))
    special = pc.match_substring_regex(pc.fill_null(column, text("")), _ESCAPED)
    rows = np.flatnonzero(numbers(special))
    if len(rows):
        escaped = strings([json.dumps(value, ensure_ascii=False) for value in column.take(integers(rows)).to_pylist()])
        quoted = pc.replace_with_mask(quoted, special, escaped)
    return pc.fill_null(quoted, text("null"))


def objects(members: dict[str, pa.Array]) -> pa.Array:
    """Return JSON objects from columns of JSON values, keys sorted."""
    parts: list[Any] = []
    for number, name in enumerate(sorted(members)):
        parts += [text(("{" if number == 0 else ", ") + json.dumps(name, ensure_ascii=False) + ": "), members[name]]
    return pc.binary_join_element_wise(*parts, text("}"), text(""))


def whole_numbers(values: Integers) -> pa.Array:
    """Return integers as JSON values."""
    return integers(values).cast(pa.large_string())


def choices(values: Integers, names: Sequence[str]) -> pa.Array:
    """Return `names[value]` for each row, as JSON strings."""
    texts = strings([json.dumps(name, ensure_ascii=False) for name in names])
    return texts.take(integers(values))


def content_ids(contents: pa.Array) -> list[str]:
    """Return 16 hex digits of the sha256 of each row's content."""
    return [hashlib.sha256(content).hexdigest()[:16] for content in contents.cast(pa.large_binary()).to_pylist()]


def told_apart(ids: list[str]) -> list[str]:
    """Return different ids: the n-th row of equal content (it can stay if duplicates may) hashes its number too."""
    if len(set(ids)) == len(ids):
        return ids
    seen: dict[str, int] = {}
    found = []
    for name in ids:
        times = seen.get(name, 0)
        seen[name] = times + 1
        found.append(hashlib.sha256(f"{name} {times}".encode()).hexdigest()[:16] if times else name)
    return found


class LineWriter:
    """Appends columns of JSON objects to a file, one per line."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("wb")

    def write(self, lines: pa.Array) -> None:
        """Write the lines; the column has no nulls."""
        column = pc.binary_join_element_wise(lines, text("\n"), text(""))
        if len(column):
            bounds = np.frombuffer(column.buffers()[1], np.int64)[column.offset : column.offset + len(column) + 1]
            self._stream.write(memoryview(column.buffers()[2])[int(bounds[0]) : int(bounds[-1])])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
