"""All rows of the data set in columns: the kept, the dropped, and why. No row ever leaves this table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .batch import Columns
from .characters import Integers, Text
from .reasons import CODES, KEPT


class Spoken(NamedTuple):
    """A row of which a person's overrule speaks: the overrule's number, and why the row would be dropped without it."""

    row: int
    overrule: int
    reason: int


@dataclass(frozen=True)
class Judged:
    """Some rows of one file after the cleaning: their texts as they are kept, and why a row is not kept.

    `answers` and `questions` are the folded texts of the rows that are clean (see `deduplicating`), `ids` the
    hashes of every row's content.
    """

    file: str
    lines: Integers
    raw: pa.Array
    fields: dict[str, pa.Array]
    reasons: npt.NDArray[np.uint8]
    details: dict[int, str]
    answers: Text
    questions: Text
    ids: npt.NDArray[np.uint64]
    spoken: tuple[Spoken, ...] = ()


@dataclass
class Rows:
    """One entry per raw row, in the order of the files and their lines."""

    columns: Columns
    files: list[str] = field(default_factory=list)
    raw: list[pa.Array] = field(default_factory=list)
    fields: dict[str, list[pa.Array]] = field(default_factory=dict)
    details: dict[int, str] = field(default_factory=dict)
    _file: list[npt.NDArray[np.uint16]] = field(default_factory=list)
    _line: list[Integers] = field(default_factory=list)
    _reason: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    _ids: list[npt.NDArray[np.uint64]] = field(default_factory=list)
    _spoken: list[Spoken] = field(default_factory=list)
    count: int = 0

    def add(self, batch: Judged) -> None:
        """Add cleaned rows."""
        if batch.file not in self.files:
            self.files.append(batch.file)
        self.details.update((self.count + row, detail) for row, detail in batch.details.items())
        self.raw.append(batch.raw)
        for name in self.columns.all:
            self.fields.setdefault(name, []).append(batch.fields[name])
        self._file.append(np.full(len(batch.lines), self.files.index(batch.file), np.uint16))
        self._line.append(batch.lines)
        self._reason.append(batch.reasons)
        self._ids.append(batch.ids)
        self._spoken += [spoken._replace(row=self.count + spoken.row) for spoken in batch.spoken]
        self.count += len(batch.lines)

    def seal(self) -> Table:
        """Return the table, once all batches are added."""
        return Table(
            columns=self.columns,
            files=tuple(self.files),
            raw=pa.concat_arrays(self.raw),
            fields={name: pa.concat_arrays(self.fields.pop(name)) for name in self.columns.all},
            details=self.details,
            file=np.concatenate(self._file),
            line=np.concatenate(self._line),
            reason=np.concatenate(self._reason),
            ids=np.concatenate(self._ids),
            spoken=tuple(self._spoken),
        )


@dataclass(frozen=True)
class Table:
    """The sealed rows. `reason` is the index in `reasons.REASONS`; duplicates are noted in place."""

    columns: Columns
    files: tuple[str, ...]
    raw: pa.Array
    fields: dict[str, pa.Array]
    details: dict[int, str]
    file: npt.NDArray[np.uint16]
    line: Integers
    reason: npt.NDArray[np.uint8]
    ids: npt.NDArray[np.uint64]
    spoken: tuple[Spoken, ...] = ()

    def __len__(self) -> int:
        return len(self.line)

    def kept(self) -> Integers:
        """Return the rows that have no reason to be dropped."""
        rows: Integers = np.flatnonzero(self.reason == KEPT)
        return rows

    def drop(self, rows: Integers, reason: str) -> None:
        """Note a reason for rows that were kept so far."""
        self.reason[rows] = CODES[reason]

    def place(self, row: int) -> str:
        """Name a row for a person: file and line."""
        return f"{self.files[self.file[row]]}:{self.line[row]}"
