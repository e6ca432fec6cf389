"""The written files read back for the audit, with Arrow's own JSON reader, and by hand where that refuses."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.json as pj

from .arrow import strings
from .parallel import in_order

SPLITS: Final = ("train", "validation", "test")
KEYS: Final = ("category", "group", "id", "input", "line", "output", "source")
_FACTS: Final = "facts"
_BLOCK_BYTES: Final = 8 << 20


@dataclass(frozen=True)
class Shape:
    """The one shape of all rows: the input columns of the recipe, and whether it names columns of facts."""

    inputs: tuple[str, ...]
    facts: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """Every member of a row."""
        return (*KEYS, _FACTS) if self.facts else KEYS


@dataclass
class Written:
    """The rows of the three splits in columns; `split[i]` is the index in `SPLITS`."""

    split: Any
    line: Any
    id: pa.Array
    output: pa.Array
    inputs: dict[str, pa.Array]
    category: pa.Array
    group: pa.Array
    source: pa.Array
    counts: dict[str, int]
    unreadable: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)

    def name(self, row: int) -> str:
        """Name a row for a person: file, line and text."""
        return (
            f"{SPLITS[self.split[row]]}.jsonl:{self.line[row]} {self.id[row].as_py()} {self.output[row].as_py()[:120]}"
        )


@dataclass(frozen=True)
class _Part:
    """The well-formed rows of a block and their line numbers; lines that cannot be read, rows of another shape."""

    table: pa.Table
    places: Any
    unreadable: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)


def read_written(folder: Path, shape: Shape, threads: int) -> Written:
    """Read the splits. Lines that cannot be read, and rows of another shape, are listed, not skipped in silence."""
    parts, split, counts = [], [], {}
    for number, name in enumerate(SPLITS):
        counts[name] = 0
        blocks = _numbered(folder / f"{name}.jsonl", counts)
        for part in in_order(lambda block: _parse(block, shape), blocks, threads):
            parts.append(part)
            split.append(np.full(len(part.places), number, np.uint8))
    whole = pa.concat_tables([part.table for part in parts]) if parts else _schema(shape).empty_table()
    joined = {name: _whole(whole, name) for name in whole.column_names}
    members = joined["input"].flatten() if len(whole) else [strings([]) for _ in shape.inputs]
    return Written(
        split=np.concatenate([*split, np.zeros(0, np.uint8)]),
        line=np.concatenate([*(part.places for part in parts), np.zeros(0, np.int64)]),
        id=joined["id"],
        output=joined["output"].cast(pa.large_string()),
        inputs={name: member.cast(pa.large_string()) for name, member in zip(shape.inputs, members, strict=True)},
        category=joined["category"],
        group=joined["group"],
        source=joined["source"],
        counts=counts,
        unreadable=[line for part in parts for line in part.unreadable],
        misshapen=[line for part in parts for line in part.misshapen],
    )


Block = tuple[str, int, bytes]
"""File name, how many lines stand before, and some whole lines."""


def _numbered(path: Path, counts: dict[str, int]) -> Iterator[Block]:
    """Yield the blocks of a split, and count its lines."""
    for block in _blocks(path):
        yield path.name, counts[path.stem], block
        counts[path.stem] += block.count(b"\n")


def _whole(table: pa.Table, name: str) -> Any:
    chunks = table.column(name).chunks
    return pa.concat_arrays(chunks) if chunks else pa.nulls(0, table.schema.field(name).type)


def _schema(shape: Shape) -> pa.Schema:
    text = pa.string()
    members = pa.struct([pa.field(name, text) for name in shape.inputs])
    lists = pa.list_(pa.list_(text))
    facts = pa.struct([pa.field("must_contain", lists), pa.field("must_not_contain", lists)])
    kinds = {"input": members, "line": pa.int64(), _FACTS: facts}
    return pa.schema([(key, kinds.get(key, text)) for key in shape.keys])


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield a file in blocks of whole lines."""
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            yield block if block.endswith(b"\n") else block + stream.readline().rstrip(b"\n") + b"\n"


def _parse(numbered: Block, shape: Shape) -> _Part:
    """Parse one block."""
    file, before, block = numbered
    schema = _schema(shape)
    lines = block.count(b"\n")
    try:
        block.decode()
        table = pj.read_json(
            io.BytesIO(block),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(block) + 1),
            parse_options=pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
        )
        # Arrow takes a missing label for null; each row must name both (in a text the quotes would be escaped).
        labelled = all(block.count(b'"%s": ' % key) >= lines for key in (b"category", b"group"))
        if labelled and len(table) == lines and not _has_nulls(table, shape.inputs):
            return _Part(table, np.arange(before + 1, before + 1 + lines))
    except (pa.ArrowException, UnicodeDecodeError):
        pass
    rows, places = [], []
    unreadable, misshapen = [], []
    for number, line in enumerate(block.split(b"\n")[:-1], start=before + 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            unreadable.append(f"{file}:{number} {str(error)[:80]}")
            continue
        fault = _shape_fault(row, shape)
        if fault:
            misshapen.append(f"{file}:{number} {fault}")
        else:
            rows.append(row)
            places.append(number)
    return _Part(pa.Table.from_pylist(rows, schema=schema), np.array(places, np.int64), unreadable, misshapen)


def _has_nulls(table: pa.Table, inputs: tuple[str, ...]) -> bool:
    needed = [table.column(name) for name in ("id", "input", "line", "output", "source")]
    members = [chunk.field(name) for chunk in table.column("input").chunks for name in inputs]
    return any(column.null_count for column in (*needed, *members))


def _shape_fault(row: Any, shape: Shape) -> str:
    """Say how a row differs from the one shape that all rows must have."""
    if not isinstance(row, dict) or set(row) != set(shape.keys):
        return f"keys are {sorted(row) if isinstance(row, dict) else type(row).__name__}"
    if not isinstance(row["input"], dict) or set(row["input"]) != set(shape.inputs):
        return "input has other columns than the recipe"
    texts = [row["id"], row["source"], row["output"], *row["input"].values()]
    if not all(isinstance(text, str) for text in texts) or type(row["line"]) is not int:
        return "a value has the wrong type"
    return (
        ""
        if all(row[key] is None or isinstance(row[key], str) for key in ("category", "group"))
        else "a label is no text"
    )


def kept_by_person(folder: Path, written: Written) -> Any:
    """Return which rows a person keeps against the cleaning, as `overrules.json` names them; None without that file."""
    path = folder / "overrules.json"
    if not path.is_file():
        return None
    entries = json.loads(path.read_text(encoding="utf-8"))["entries"]
    applied = [entry for entry in entries if (entry["decision"], entry["state"]) == ("keep", "applied")]
    named = {row["id"] for entry in applied for row in entry["rows"] if row["id"] is not None}
    return np.array([identity in named for identity in written.id.to_pylist()], np.bool_)


def count_dropped(path: Path) -> tuple[int, dict[str, int], dict[str, int]]:
    """Return the lines of `dropped.jsonl`, rows per reason, and how many were dropped for each kept row."""
    lines = 0
    reasons: dict[str, int] = {}
    twins: dict[str, int] = {}
    for block in _blocks(path):
        lines += block.count(b"\n")
        table = pj.read_json(
            io.BytesIO(block),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(block) + 1),
            parse_options=pj.ParseOptions(
                explicit_schema=pa.schema([("reason", pa.string()), ("of", pa.string())]),
                unexpected_field_behavior="ignore",
            ),
        )
        for entry in _whole(table, "reason").value_counts().to_pylist():
            reasons[str(entry["values"])] = reasons.get(str(entry["values"]), 0) + int(entry["counts"])
        for twin in _whole(table, "of").drop_null().to_pylist():
            twins[twin] = twins.get(twin, 0) + 1
    return lines, dict(sorted(reasons.items())), twins
