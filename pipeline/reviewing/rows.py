"""All rows that `prepare` wrote, kept and dropped, in the order of the raw files: found and read page by page.

An index on disk (SQLite) says where each row stands, and holds its folded text for the search. Rows are read from the
artifact when they are asked for, so a million of them need neither the memory nor the browser.
"""

from __future__ import annotations

import heapq
import json
import random
import re
import sqlite3
import threading
import unicodedata
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.overrules import FINAL

SPLITS: Final = ("train", "validation", "test")
DROPPED: Final = "dropped"
SAMPLE_KEPT: Final = 50
SAMPLE_DROPPED: Final = 50
_FILES: Final = (*SPLITS, DROPPED)
_LINE_BITS: Final = 40
"""A row's number is its file's place in the recipe, then its line: numbers follow the order of the raw rows."""
_AT_ONCE: Final = 20_000
_TWIN: Final = re.compile(r"of (.+):(\d+)")
_SCHEMA: Final = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
CREATE TABLE rows (n INTEGER PRIMARY KEY, kind INTEGER, file INTEGER, start INTEGER, size INTEGER);
CREATE TABLE texts (n INTEGER PRIMARY KEY, text TEXT);
"""

Entry = tuple[int, int, int, int, int, str]
"""Number, kind, file, start and size in the file, folded text."""


@dataclass(frozen=True)
class Wanted:
    """Which rows a reader wants: of these kinds (splits and reasons; none: all) that hold this text."""

    kinds: tuple[str, ...] = ()
    text: str = ""


def folded(text: str) -> str:
    """Return a text in the form in which it is searched: width and case do not count."""
    return unicodedata.normalize("NFKC", text).casefold()


class RowIndex:
    """The rows of one artifact. Safe for several threads."""

    def __init__(self, folder: Path, database: Path, sources: Sequence[str]) -> None:
        self._folder = folder
        self._database = sqlite3.connect(database, check_same_thread=False)
        self._lock = threading.Lock()
        self._samples: dict[int, list[int]] = {}
        self.sources = list(sources)
        self.kinds = list(SPLITS)
        self.counts: Counter[str] = Counter()

    def close(self) -> None:
        """Let go of the database file."""
        self._database.close()

    def fill(self, progress: Callable[[int], None]) -> None:
        """Read every row once; `progress` hears how many were read. Raises OSError, ValueError for a damaged file."""
        with self._lock:
            self._database.executescript(_SCHEMA)
            counts: Counter[int] = Counter()
            batch: list[Entry] = []
            for entry in heapq.merge(*(self._entries(file) for file in range(len(_FILES)))):
                counts[entry[1]] += 1
                batch.append(entry)
                if len(batch) == _AT_ONCE:
                    self._insert(batch)
                    progress(counts.total())
                    batch = []
            self._insert(batch)
            self._database.commit()
            self.counts = Counter({self.kinds[kind]: count for kind, count in counts.items()})

    def _insert(self, batch: list[Entry]) -> None:
        self._database.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", (entry[:5] for entry in batch))
        self._database.executemany("INSERT INTO texts VALUES (?, ?)", ((entry[0], entry[5]) for entry in batch))

    def _entries(self, file: int) -> Iterator[Entry]:
        """Yield what is indexed of one file, in its order, which is that of the raw rows."""
        start = 0
        with (self._folder / f"{_FILES[file]}.jsonl").open("rb") as stream:
            for line in stream:
                row = json.loads(line)
                kind = file if file < len(SPLITS) else self._kind(row["reason"])
                text = row["raw"] if "raw" in row else "\n".join([*row["input"].values(), row["output"]])
                yield self.number(row["source"], row["line"]), kind, file, start, len(line), folded(text)
                start += len(line)

    def _kind(self, reason: str) -> int:
        if reason not in self.kinds:
            self.kinds.append(reason)
        return self.kinds.index(reason)

    def number(self, source: str, line: int) -> int:
        """Return the number of the row that stood in a line of a raw file."""
        if source not in self.sources:
            self.sources.append(source)
        return (self.sources.index(source) << _LINE_BITS) | line

    def find(self, wanted: Wanted, offset: int, limit: int) -> tuple[int, list[int]]:
        """Return how many rows there are of those wanted, and the numbers of some of them in order."""
        known = [self.kinds.index(kind) for kind in wanted.kinds if kind in self.kinds]
        if wanted.kinds and not known:
            return 0, []
        tables, conditions = "rows", ["TRUE"]
        values: list[int | str] = [*known]
        if known:
            conditions.append(f"kind IN ({', '.join('?' * len(known))})")
        if wanted.text:
            tables = "rows JOIN texts USING (n)"
            conditions.append("instr(text, ?) > 0")
            values.append(folded(wanted.text))
        chosen = f"FROM {tables} WHERE {' AND '.join(conditions)}"  # names and marks of ours; values go in by the marks
        with self._lock, closing(self._database.cursor()) as cursor:
            (total,) = cursor.execute(f"SELECT count(*) {chosen}", values).fetchone()
            listed = cursor.execute(f"SELECT n {chosen} ORDER BY n LIMIT ? OFFSET ?", (*values, limit, offset))
            return total, [number for (number,) in listed]

    def sample(self, seed: int) -> list[int]:
        """Return the numbers of a seeded sample: dropped rows reason by reason, then kept rows.

        First come the reasons that a person can overrule.
        """
        if seed not in self._samples:
            self._samples[seed] = self._drawn(random.Random(seed))
        return self._samples[seed]

    def _drawn(self, chance: random.Random) -> list[int]:
        found = [array("q") for _ in self.kinds]
        with self._lock:
            for number, kind in self._database.execute("SELECT n, kind FROM rows ORDER BY n"):
                found[kind].append(number)
        drawn: dict[str, list[int]] = {}
        left = SAMPLE_DROPPED
        reasons = sorted(range(len(SPLITS), len(found)), key=lambda kind: (len(found[kind]), self.kinds[kind]))
        for place, kind in enumerate(reasons):  # the rarest first: what they leave falls to the others
            share = min(-(-left // (len(reasons) - place)), len(found[kind]))
            drawn[self.kinds[kind]] = sorted(chance.sample(found[kind], share))
            left -= share
        dropped = [number for kind in sorted(drawn, key=lambda kind: (kind in FINAL, kind)) for number in drawn[kind]]
        kept = [number for numbers in found[: len(SPLITS)] for number in numbers]
        return dropped + sorted(chance.sample(kept, min(SAMPLE_KEPT, len(kept))))

    def row(self, number: int) -> dict[str, Any] | None:
        """Return a row as `prepare` wrote it, with `kind`: its split, or why it was dropped. None: no such row."""
        with self._lock:
            place = self._database.execute("SELECT kind, file, start, size FROM rows WHERE n = ?", (number,)).fetchone()
        if place is None:
            return None
        kind, file, start, size = place
        with (self._folder / f"{_FILES[file]}.jsonl").open("rb") as stream:
            stream.seek(start)
            row: dict[str, Any] = json.loads(stream.read(size))
        return {**row, "kind": self.kinds[kind]}

    def twin(self, row: dict[str, Any]) -> dict[str, Any] | None:
        """Return the kept row for whose sake a row was dropped, if there is one."""
        match = _TWIN.fullmatch(row.get("detail", ""))
        return self.row(self.number(match[1], int(match[2]))) if match and row["of"] is not None else None
