"""Raw files to batches of rows: JSONL here, CSV and Parquet in their own modules.

Lines of JSON are only cut here; `parse` turns them into rows, where the cleaning works on them.
What stops the job (`JobError`): a missing or empty file, another encoding than UTF-8, an unknown
format, a column that no row has. What drops one row, with its line: a line over 1 MiB, invalid
UTF-8, broken JSON, a missing field, a field that is not text. Blank lines are counted, not rows.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from ..job import JobError, read_json
from .batch import Batch, Columns, Lines, Notes
from .delimited import read_csv, read_tsv
from .encodings import check_encoding
from .lines import LongLine, read_lines, shown, too_long
from .parquet import read_parquet
from .values import fill_fields

_MARK: Final = "9c1185a5c5e9fc54612808977ee8f548"


def read_jsonl(path: Path, columns: Columns, notes: Notes) -> Iterator[Lines]:  # noqa: ARG001 - a `Reader`
    """Yield the lines of a JSON-lines file."""
    marked = check_encoding(path)
    if marked:
        notes.byte_order_marks.append(path.name)
    number = 0
    for lines in read_lines(path, marked=marked):
        yield Lines(path.name, number, lines)
        number += len(lines)


def parse(unit: Lines | Batch, columns: Columns) -> tuple[Batch, Notes]:
    """Return the rows of what a reader yielded, and what there is to tell about them."""
    notes = Notes()
    batch = _parse(unit, columns, notes) if isinstance(unit, Lines) else unit
    notes.rows = len(batch.lines)
    notes.fault = next((f"line {batch.lines[row]}: {detail}" for row, detail in batch.details.items()), "")
    return batch, notes


def _parse(unit: Lines, columns: Columns, notes: Notes) -> Batch:
    """Parse lines: all at once, or one by one where that fails."""
    batch = Batch(unit.file)
    try:
        texts = b"\n".join(unit.lines).decode().split("\n")  # type: ignore[arg-type]  # a LongLine raises TypeError
        rows = _load_all(texts)
    except (TypeError, ValueError, RecursionError):
        return _parse_each(batch, unit, columns, notes)
    if rows is None:
        return _parse_each(batch, unit, columns, notes)
    batch.add_all(unit.before, texts)
    fill_fields(batch, rows, columns, notes)
    return batch


def _load_all(texts: list[str]) -> list[dict[str, Any] | None] | None:
    """Parse all lines in one call, which takes half the time; None unless each line is one object by itself.

    A mark between the lines shows whether a value reached over a line's end.
    """
    values = json.loads("[" + f',"{_MARK}",'.join(texts) + "]")
    rows = values[::2]
    alone = len(rows) == len(texts) and values[1::2] == [_MARK] * (len(rows) - 1)
    return rows if alone and set(map(type, rows)) == {dict} else None


def _parse_each(batch: Batch, unit: Lines, columns: Columns, notes: Notes) -> Batch:
    objects: list[dict[str, Any] | None] = []
    for number, line in enumerate(unit.lines, start=unit.before + 1):
        if isinstance(line, LongLine):
            batch.add(number, shown(line), "line-too-long", too_long(line))
            objects.append(None)
            continue
        try:
            text = line.decode()
            value = json.loads(text)
        except UnicodeDecodeError as error:
            batch.add(number, shown(line), "invalid-utf8", f"byte {error.start + 1} of the line: {error.reason}")
            value = None
        except (ValueError, RecursionError) as error:
            if not line.strip():
                notes.blank_lines += 1
                continue
            batch.add(number, text, "broken-json", _json_fault(error))
            value = None
        else:
            if type(value) is dict:
                batch.add(number, text)
            else:
                batch.add(number, text, "broken-json", "a row must be a JSON object")
                value = None
        objects.append(value)
    fill_fields(batch, objects, columns, notes)
    return batch


def _json_fault(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)[:100]


Reader = Callable[[Path, Columns, Notes], Iterator[Lines] | Iterator[Batch]]

READERS: Final[dict[str, Reader]] = {
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".parquet": read_parquet,
}


def data_files(folder: Path) -> list[Path]:
    """Return the files that `source.json` names, in its order."""
    return [folder / entry["name"] for entry in read_json(folder / "source.json")["files"]]


def read_file(path: Path, columns: Columns, notes: Notes) -> Iterator[Lines | Batch]:
    """Yield what is to be parsed of one file; `notes` are the file's."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(READERS)
        raise JobError(f"{path.name} has no known format", where=path.name, advice=f"use one of {known}")
    if not path.is_file():
        raise JobError(f"{path.name} is not there", where=path.name, advice="check data.files in the recipe")
    yield from reader(path, columns, notes)


def check_file(file: str, columns: Columns, notes: Notes) -> None:
    """Raise `JobError` if a file that was read to its end holds no row, or none with a column that the recipe names."""
    if notes.rows == 0:
        raise JobError(f"{file} holds no rows", where=file, advice="remove it from data.files, or fill it")
    unreadable = f"no row of {file} can be read"
    if not notes.columns:
        advice = f"a file named {Path(file).suffix} must hold that format"
        raise JobError(unreadable, where=f"{file}, {notes.fault}", advice=advice)
    for name in columns.all:
        if name in notes.seen:
            continue
        if name in notes.columns and notes.fault:  # the header has it, and every row is broken
            advice = "mend that line (a comma inside a field needs quotes); the others are likely alike"
            raise JobError(unreadable, where=f"{file}, {notes.fault}", advice=advice)
        raise missing_column(file, name, sorted(notes.columns))


def missing_column(file: str, name: str, others: list[str]) -> JobError:
    """Return the error for a column that a file does not have, with the nearest name it has."""
    near = difflib.get_close_matches(name, others, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    found = ", ".join(others[:20]) or "none that can be read"
    return JobError(
        f"{file} has no column {name!r}{hint}",
        where=f"{file}, columns found: {found}",
        advice="name the file's columns in the recipe's table [columns]",
    )
