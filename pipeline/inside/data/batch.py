"""What a reader hands on: some rows of one file, each with its line, or with the fault found in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from .lines import Line
from .reasons import CODES, KEPT

RAW_CHARS: Final = 500
"""How much of a raw row is kept for `dropped.jsonl`."""


@dataclass(frozen=True)
class Columns:
    """Which columns to read: the recipe's table `[columns]`."""

    input: tuple[str, ...]
    output: str
    category: str | None
    group: str | None
    must_contain: str | None = None
    must_not_contain: str | None = None

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Columns:
        """Read the recipe's table."""
        labels = (parameters["category"], parameters["group"])
        facts = (parameters.get("must_contain"), parameters.get("must_not_contain"))
        return cls(tuple(parameters["input"]), parameters["output"], *labels, *facts)

    @property
    def required(self) -> tuple[str, ...]:
        """Columns that every row must have, as text."""
        return tuple(dict.fromkeys((*self.input, self.output)))

    @property
    def labels(self) -> tuple[str, ...]:
        """Columns that may be null, and whose numbers are read as text."""
        names = [name for name in (self.category, self.group) if name is not None]
        return tuple(name for name in dict.fromkeys(names) if name not in self.required)

    @property
    def facts(self) -> dict[str, str]:
        """`must_contain` and `must_not_contain` → the column that holds such facts, where the recipe names one."""
        named = {"must_contain": self.must_contain, "must_not_contain": self.must_not_contain}
        return {member: name for member, name in named.items() if name is not None}

    @property
    def all(self) -> tuple[str, ...]:
        """Every column that is read."""
        return (*self.required, *self.labels, *self.facts.values())


@dataclass
class Lines:
    """Lines of a JSON-lines file that are still to be parsed, and how many stand before them."""

    file: str
    before: int
    lines: list[Line]


@dataclass
class Batch:
    """Rows of one file in their order. `fields[column][i]` is '' or None where row i has a fault."""

    file: str
    lines: list[int] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    fields: dict[str, list[str | None]] = field(default_factory=dict)
    reasons: list[int] = field(default_factory=list)
    details: dict[int, str] = field(default_factory=dict)

    def add(self, line: int, raw: str, reason: str = "kept", detail: str = "") -> None:
        """Add one row, whose fields are set later, or its fault."""
        if detail:
            self.details[len(self.lines)] = detail
        self.lines.append(line)
        self.raw.append(raw[:RAW_CHARS])
        self.reasons.append(CODES[reason])

    def add_all(self, before: int, raw: list[str]) -> None:
        """Add the rows that follow line `before`, all without a fault, to an empty batch."""
        self.lines = list(range(before + 1, before + 1 + len(raw)))
        self.raw = [text[:RAW_CHARS] for text in raw]
        self.reasons = [KEPT] * len(raw)

    def take(self, rows: list[int]) -> Batch:
        """Return some of the rows, without the faults found in them."""
        fields = {name: [values[row] for row in rows] for name, values in self.fields.items()}
        lines, raw = [self.lines[row] for row in rows], [self.raw[row] for row in rows]
        return Batch(self.file, lines, raw, fields, [KEPT] * len(rows))

    def drop(self, row: int, reason: str, detail: str) -> None:
        """Note a fault of a row that was added; the first fault stays."""
        if self.reasons[row] == KEPT:
            self.reasons[row] = CODES[reason]
            self.details[row] = detail


@dataclass
class Notes:
    """What there is to tell about a file, or about a part of one, beside its rows.

    `seen` are the columns of the recipe that some row has, `columns` all columns met, `fault` the first row that
    could not be read.
    """

    byte_order_marks: list[str] = field(default_factory=list)
    blank_lines: int = 0
    rows: int = 0
    seen: set[str] = field(default_factory=set)
    columns: set[str] = field(default_factory=set)
    fault: str = ""

    def add(self, part: Notes) -> None:
        """Add what was noted of the part that follows."""
        self.byte_order_marks += part.byte_order_marks
        self.blank_lines += part.blank_lines
        self.rows += part.rows
        self.seen |= part.seen
        self.columns |= part.columns
        self.fault = self.fault or part.fault
