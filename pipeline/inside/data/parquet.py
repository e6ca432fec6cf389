"""Parquet files. A row's line is its number in the file, from 1.

Stops the job: a damaged file, a missing column, a column of text that holds something else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from ..job import JobError
from .batch import Batch, Columns, Notes
from .values import fill_fields

BATCH_ROWS: Final = 20_000


def read_parquet(path: Path, columns: Columns, notes: Notes) -> Iterator[Batch]:
    """Yield the rows of a Parquet file."""
    import pyarrow.parquet as pq  # noqa: PLC0415 (takes a tenth of a second, and most data is JSONL)

    try:
        file = pq.ParquetFile(path)
        _check_types(path.name, file.schema_arrow, columns)
        notes.columns.update(file.schema_arrow.names)
        names = [name for name in columns.all if name in file.schema_arrow.names]
        number = 0
        for table in file.iter_batches(batch_size=BATCH_ROWS, columns=names, use_threads=False):
            yield _batch(path.name, number, table, names, columns, notes)
            number += table.num_rows
    except (
        pa.ArrowException,
        OSError,
        ValueError,
        OverflowError,
    ) as error:  # the latter: dates that Python cannot hold
        advice = "write the file again; it may be cut off"
        raise JobError(
            f"{path.name} is not a readable Parquet file: {error}", where=path.name, advice=advice
        ) from error


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _check_types(file: str, schema: pa.Schema, columns: Columns) -> None:
    for name in columns.required:
        if name in schema.names and not _is_text(schema.field(name).type):
            kind = schema.field(name).type
            advice = "store the column as strings"
            raise JobError(f"column {name!r} holds {kind}, text expected", where=f"{file}, {name}", advice=advice)


def _batch(file: str, before: int, table: pa.RecordBatch, names: list[str], columns: Columns, notes: Notes) -> Batch:
    values = {name: _values(table.column(name)) for name in names}
    rows: list[dict[str, Any] | None] = [
        dict(zip(names, row, strict=True)) for row in zip(*values.values(), strict=True)
    ]
    batch = Batch(file)
    for offset, row in enumerate(rows):
        number = before + offset + 1
        broken = next((name for name, value in (row or {}).items() if isinstance(value, bytes)), None)
        raw = json.dumps(row, ensure_ascii=False, default=repr)
        if broken is None:
            batch.add(number, raw)
        else:
            batch.add(number, raw, "invalid-utf8", f"{broken!r} is not UTF-8")
            rows[offset] = None
    fill_fields(batch, rows, columns, notes)
    return batch


def _values(column: pa.Array) -> list[Any]:
    """Return a column's values; a string that is not UTF-8 comes as bytes."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not _is_text(column.type):
        return list(column.to_pylist())
    column = column.cast(pa.large_string())
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return [_decoded(value) for value in column.view(pa.large_binary()).to_pylist()]
    return list(column.to_pylist())


def _decoded(value: bytes | None) -> str | bytes | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return value
