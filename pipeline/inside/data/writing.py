"""Rows to JSON lines, a column at a time: the same bytes as `json.dumps(row, sort_keys=True)`, many times as fast."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .arrow import integers, numbers, strings, text
from .characters import Integers

Identities = npt.NDArray[np.uint64]

_ESCAPED: Final = r'["\\\x00-\x1f]'
_ID_DIGITS: Final = 16


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


def content(fields: dict[str, pa.Array], inputs: Sequence[str], output: str) -> dict[str, pa.Array]:
    """Return the members `input` and `output` of rows: what an id is made from."""
    asked = {name: json_strings(fields[name]) for name in inputs}
    return {"input": objects(asked), "output": json_strings(fields[output])}


def whole_numbers(values: Integers) -> pa.Array:
    """Return integers as JSON values."""
    return integers(values).cast(pa.large_string())


def choices(values: Integers, names: Sequence[str]) -> pa.Array:
    """Return `names[value]` for each row, as JSON strings."""
    texts = strings([json.dumps(name, ensure_ascii=False) for name in names])
    return texts.take(integers(values))


def content_ids(contents: pa.Array) -> Identities:
    """Return the first 64 bits of the sha256 of each row's content."""
    digests = [hashlib.sha256(content).digest()[:8] for content in contents.cast(pa.large_binary()).to_pylist()]
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)


def told_apart(ids: Identities) -> Identities:
    """Return different ids: the n-th row of equal content (it can stay if duplicates may) hashes its number too."""
    if len(np.unique(ids)) == len(ids):
        return ids
    seen: dict[int, int] = {}
    found = ids.copy()
    for row, number in enumerate(ids.tolist()):
        times = seen.get(number, 0)
        seen[number] = times + 1
        if times:
            digest = hashlib.sha256(f"{id_text(number)} {times}".encode()).digest()
            found[row] = int.from_bytes(digest[:8], "big")
    return found


def id_text(number: int) -> str:
    """Return an id as it is written: 16 hex digits."""
    return f"{number:0{_ID_DIGITS}x}"


def id_texts(ids: Identities) -> pa.Array:
    """Return ids as they are written."""
    digits = ids.astype(">u8").tobytes().hex().encode()
    bounds = np.arange(0, len(digits) + 1, _ID_DIGITS, dtype=np.int64)
    return pa.Array.from_buffers(pa.large_string(), len(ids), [None, pa.py_buffer(bounds), pa.py_buffer(digits)])


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
