"""CSV and tab-separated files, with a header line.

Stops the job: an empty or repeated column name, a missing column, a quote that is never closed.
Drops one row: a wrong number of fields, broken quoting, invalid UTF-8, a line over 1 MiB.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..job import JobError
from .batch import Batch, Columns, Notes
from .encodings import check_encoding
from .lines import MAX_LINE_BYTES, Line, LongLine, read_lines, shown, too_long
from .values import fill_fields

BATCH_ROWS: Final = 20_000


@dataclass
class _Feed:
    """Hands physical lines to the CSV reader, and keeps those of the record that is being read.

    A line that cannot be text is held back as a fault; a fault after the record's first line lies
    inside a quoted field, so it spoils the record.
    """

    lines: Iterator[list[Line]]
    number: int = 0
    record: list[str] = field(default_factory=list)
    first: int = 0
    faults: list[tuple[int, str, str, str, bool]] = field(default_factory=list)

    def __iter__(self) -> Iterator[str]:
        for block in self.lines:
            for line in block:
                self.number += 1
                text = self._text(line)
                if text is None:
                    continue
                if not self.record:
                    self.first = self.number
                self.record.append(text)
                yield text

    def _text(self, line: Line) -> str | None:
        inside = bool(self.record)
        if isinstance(line, LongLine):
            self.faults.append((self.number, shown(line), "line-too-long", too_long(line), inside))
            return None
        try:
            return line.decode() + "\n"
        except UnicodeDecodeError as error:
            detail = f"byte {error.start + 1} of the line: {error.reason}"
            self.faults.append((self.number, shown(line), "invalid-utf8", detail, inside))
            return None


def read_csv(path: Path, columns: Columns, notes: Notes) -> Iterator[Batch]:
    """Yield the rows of a comma-separated file; a row's line is the one on which it starts."""
    return _read(path, columns, notes, ",")


def read_tsv(path: Path, columns: Columns, notes: Notes) -> Iterator[Batch]:
    """Yield the rows of a tab-separated file."""
    return _read(path, columns, notes, "\t")


def _read(path: Path, columns: Columns, notes: Notes, delimiter: str) -> Iterator[Batch]:
    marked = check_encoding(path)
    if marked:
        notes.byte_order_marks.append(path.name)
    csv.field_size_limit(MAX_LINE_BYTES)
    feed = _Feed(read_lines(path, marked=marked))
    records = csv.reader(feed, delimiter=delimiter, strict=True)
    header = _header(path.name, records, feed, notes)
    batch, objects = Batch(path.name), _Objects([])
    while _next(path.name, records, feed, header, batch, objects, notes):
        if len(batch.lines) >= BATCH_ROWS:
            fill_fields(batch, objects.rows, columns, notes)
            yield batch
            batch, objects = Batch(path.name), _Objects([])
    fill_fields(batch, objects.rows, columns, notes)
    yield batch


@dataclass
class _Objects:
    """The parsed rows of a batch; None for a fault."""

    rows: list[dict[str, Any] | None]


def _header(file: str, records: Any, feed: _Feed, notes: Notes) -> list[str]:
    try:
        header = [name.strip() for name in next(records)]
    except (csv.Error, StopIteration) as error:
        advice = "the first line names the columns; a file without rows is to be taken out of data.files"
        raise JobError(
            f"{file} has no readable header line: {error}", where=f"{file}, line 1", advice=advice
        ) from error
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated or "" in header:
        what = f"the column name {repeated[0]!r} stands twice" if repeated else "a column has no name"
        raise JobError(
            f"{file}: {what} in the header", where=f"{file}, line 1", advice="give every column its own name"
        )
    notes.columns.update(header)
    feed.record.clear()
    return header


def _next(
    file: str, records: Any, feed: _Feed, header: list[str], batch: Batch, objects: _Objects, notes: Notes
) -> bool:
    """Read one record into the batch; return whether there may be more."""
    fault = ""
    values: list[str] = []
    try:
        values = next(records)
    except StopIteration:
        _add_faults(feed, batch, objects)
        return False
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            where = f"{file}, line {feed.first}"
            raise JobError(
                f"{file}: a quote is never closed", where=where, advice="close or double the quote"
            ) from error
        fault = str(error)
    spoilt = _add_faults(feed, batch, objects)
    raw = "".join(feed.record).rstrip("\n")
    feed.record.clear()
    if not values and not fault:
        notes.blank_lines += 1
        return True
    if not fault and len(values) != len(header):
        fault = f"{len(values)} fields, the header has {len(header)}"
    if spoilt:
        batch.add(feed.first, raw, spoilt, "inside a quoted field")
    elif fault:
        batch.add(feed.first, raw, "broken-csv", fault)
    else:
        batch.add(feed.first, raw)
    objects.rows.append(None if spoilt or fault else dict(zip(header, values, strict=True)))
    return True


def _add_faults(feed: _Feed, batch: Batch, objects: _Objects) -> str:
    """Add held-back lines as dropped rows; return the reason if one lies inside the current record."""
    spoilt = ""
    for number, raw, reason, detail, inside in feed.faults:
        if inside:
            spoilt = reason
        else:
            batch.add(number, raw, reason, detail)
            objects.rows.append(None)
    feed.faults.clear()
    return spoilt
