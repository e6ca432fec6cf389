"""Hostile rows: JSON lines, CSV, tab-separated text and Parquet, as `prepare` reads them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.inside.data.batch import Columns, Notes
from pipeline.inside.data.reading import check_file, parse, read_file
from pipeline.inside.data.reasons import KEPT
from tests.fuzz.bounds import read_within
from tests.fuzz.hostile import DEPTH, NAMES, VALUES, damaged, damaged_json
from tests.fuzz.profile import fuzzed
from tests.fuzz.property import result_or_error

COLUMNS: Final = Columns(("theme",), "title", "category", "group", "must", "must_not")
ROW: Final[dict[str, Any]] = {
    "theme": "題",
    "title": "朝の散歩",
    "category": "a",
    "group": 3,
    "must": [["朝", "あさ"]],
    "must_not": [],
}


def rows(path: Path) -> int:
    """Read a file to its end as `prepare` does; return the rows kept. What is kept can be written down."""
    notes, kept = Notes(), 0
    for unit in read_file(path, COLUMNS, notes):
        batch, part = parse(unit, COLUMNS)
        notes.add(part)
        json.dumps([batch.raw, list(batch.details.values())], ensure_ascii=False).encode()
        for at, reason in enumerate(batch.reasons):
            if reason == KEPT:
                kept += 1
                fields = {name: values[at] for name, values in batch.fields.items()}
                assert fields["theme"] is not None
                assert fields["title"] is not None
                json.dumps(fields, ensure_ascii=False).encode()
    check_file(path.name, COLUMNS, notes)
    return kept


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the hostile files are written."""
    return tmp_path_factory.mktemp("rows")


def read(folder: Path, name: str, content: bytes) -> int | None:
    """Write and read one file."""
    (folder / name).write_bytes(content)
    found: int | None = result_or_error(lambda: rows(folder / name))
    return found


def line(value: Any) -> bytes:
    """Return a row as a line."""
    return json.dumps(value).encode() + b"\n"


_LINES: Final = st.lists(
    st.one_of(
        damaged_json(ROW).map(lambda text: text.replace(b"\n", b" ") + b"\n"),
        VALUES.map(line),
        st.just(line(ROW)),
        st.binary(max_size=30),
    ),
    max_size=6,
).map(b"".join)


@fuzzed()
@given(content=_LINES)
@example(content=line(ROW) + b'{"theme": ' + b"[" * DEPTH + b"\n")
@example(content=line(ROW) + line({**ROW, "theme": "\ud800"}))
@example(content=line(ROW) + line({**ROW, "must": [["\ud800朝"]]}))
@example(content=line(ROW) + line({**ROW, "must": "[" * DEPTH}))
@example(content=line(ROW) + line({**ROW, "category": float("nan")}) + line({**ROW, "category": 10**4000}))
@example(content=line(ROW) + b'{"theme": "a", "title": ' + b"9" * 5000 + b"}\n")
@example(content=line({"\ud800": "no column that the recipe names"}))
@example(content=b"\xef\xbb\xbf\xef\xbb\xbf" + line(ROW))
def test_json_lines(content: bytes, folder: Path) -> None:
    """Deep, huge, mistyped and half-surrogate values; each row is kept whole or dropped with a reason."""
    read(folder, "rows.jsonl", content)


_CSV: Final = 'theme,title,category,group,must,must_not\n題,朝の散歩,a,3,[],\n"a\nb","c,d",,,,\n'.encode()


@fuzzed()
@given(content=damaged(_CSV), suffix=st.sampled_from(["csv", "tsv"]))
@example(content=b'theme,title\n"' + b"a" * 3_000_000, suffix="csv")
@example(content=b"theme,title\na\0b,c\n", suffix="csv")
@example(content=b",".join([b"x"] * 50_000) + b"\na\n", suffix="csv")
@example(content=b"theme,title,theme\na,b,c\n", suffix="csv")
@example(content="theme,title,\x1b[2J\u202e\n".encode(), suffix="csv")
def test_delimited_text(content: bytes, suffix: str, folder: Path) -> None:
    """Quotes that never end, NUL, a header of fifty thousand columns, repeated columns."""
    read(folder, f"rows.{suffix}", content)


def _parquet(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


_TABLE: Final = _parquet(pa.table({"theme": ["題", "b"], "title": ["朝の散歩", None], "group": [3, None]}))
_BINARY: Final = pa.array([b"\xff\xfe", b"ok"], pa.binary())
_BROKEN_TEXT: Final = _parquet(pa.table({"theme": _BINARY.view(pa.string()), "title": ["x", "y"]}))
_ODD: Final = _parquet(
    pa.table({"theme": ["a"], "title": ["b"], "group": pa.array([2**70], pa.decimal128(30)), "category": [[{"x": 1}]]})
)
_TIME: Final = _parquet(pa.table({"theme": ["a"], "title": ["b"], "group": pa.array([2**62], pa.timestamp("ms"))}))


@fuzzed()
@given(content=damaged(_TABLE))
@example(content=_BROKEN_TEXT)
@example(content=_ODD)
@example(content=_TIME)
@example(content=b"PAR1" + b"\xff" * 100 + b"PAR1")
def test_parquet(content: bytes, folder: Path) -> None:
    """Damaged pages and footers, text that is not UTF-8, dates that no calendar has."""
    read(folder, "rows.parquet", content)


@fuzzed(0.3)
@given(name=NAMES)
def test_a_header_with_hostile_names_is_told_in_words(name: str, folder: Path) -> None:
    """The error that lists the columns found can be shown, whatever they are called."""
    read(folder, "rows.jsonl", line({name: "x"}))


def test_a_line_without_an_end_takes_no_memory(folder: Path) -> None:
    """A file of one line of 300 MB, read under 250 MB of address space: it is dropped as too long."""
    path = folder / "rows.jsonl"
    with path.open("wb") as stream:
        stream.write(b'{"theme": "')
        for _ in range(300):
            stream.write(b"a" * (1 << 20))
    try:
        call = "deque(read_lines(Path(sys.argv[1]), marked=False), maxlen=1)"
        imports = "from collections import deque\nfrom pipeline.inside.data.lines import read_lines"
        assert read_within(250, 20, imports, call, str(path)) == "read"
    finally:
        path.unlink()
