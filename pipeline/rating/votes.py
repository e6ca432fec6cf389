"""The votes of all raters, in one SQLite file that no build removes.

Every vote is committed, and on the disk, before anybody hears that it is saved: a crash loses nothing that was
confirmed. A vote is bound to the digest of what was judged (`Item.digest`), and what was judged is kept beside it, so
votes on an older build can still be read, and do not count for other answers.
"""

from __future__ import annotations

import os
import re
import secrets
import sqlite3
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, Self

from pipeline.errors import NoSpaceError, StoreError, UsageError
from pipeline.rating.answers import Item, Pair

NAME: Final = "ratings.sqlite"
"""Name of the file, in a recipe's folder of results."""
SCHEMA: Final = 1
"""Version of the tables, kept as the file's `user_version`."""
Choice = Literal["first", "second", "both_good", "both_bad", "skip"]
CHOICES: Final[tuple[Choice, ...]] = ("first", "second", "both_good", "both_bad", "skip")
MAX_NAME_CHARS: Final = 60
MAX_COMMENT_CHARS: Final = 2000
_BUSY_S: Final = 10
"""How long a vote waits for another process that is writing."""
_TABLES: Final = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE raters (
    rater INTEGER PRIMARY KEY, name TEXT NOT NULL, folded TEXT NOT NULL UNIQUE, token TEXT NOT NULL UNIQUE,
    at TEXT NOT NULL
);
CREATE TABLE items (
    digest TEXT PRIMARY KEY, against TEXT NOT NULL, form TEXT NOT NULL, prompt_id TEXT NOT NULL, prompt TEXT NOT NULL,
    reference TEXT NOT NULL, against_text TEXT NOT NULL, form_text TEXT NOT NULL
);
CREATE TABLE votes (
    vote INTEGER PRIMARY KEY AUTOINCREMENT, rater INTEGER NOT NULL REFERENCES raters,
    digest TEXT NOT NULL REFERENCES items,
    choice TEXT NOT NULL, form_first INTEGER NOT NULL, comment TEXT NOT NULL, at TEXT NOT NULL, UNIQUE (rater, digest)
);
CREATE TABLE openings (
    rater INTEGER NOT NULL REFERENCES raters, digest TEXT NOT NULL REFERENCES items, at TEXT NOT NULL,
    PRIMARY KEY (rater, digest)
);
"""
_LATEST: Final = "SELECT vote, digest, choice, comment FROM votes WHERE rater = ? ORDER BY vote DESC"
_ALL: Final = """
SELECT votes.vote, votes.rater, raters.name, items.against, items.form, items.digest, items.prompt_id, items.prompt,
       items.reference, items.against_text, items.form_text, votes.choice, votes.form_first, votes.comment, votes.at,
       openings.at IS NOT NULL
FROM votes JOIN raters USING (rater) JOIN items USING (digest) LEFT JOIN openings USING (rater, digest)
ORDER BY votes.vote
"""


@dataclass(frozen=True)
class Rater:
    """A person who votes. `token` is what his page shows for him."""

    number: int
    name: str
    token: str


@dataclass(frozen=True)
class Vote:
    """One vote. `form_first`: the answer of `item.pair.form` stood first. `opened`: the reference was looked at."""

    number: int
    rater: int
    rater_name: str
    digest: str
    item: Item
    choice: Choice
    form_first: bool
    comment: str
    at: str
    opened: bool

    @property
    def preferred(self) -> str:
        """Return `form`, `against`, `both_good`, `both_bad` or `skip`."""
        if self.choice in ("first", "second"):
            return "form" if (self.choice == "first") == self.form_first else "against"
        return self.choice


class Votes:
    """The file of votes. Safe for several threads; several processes may have it open. A context manager."""

    def __init__(self, path: Path) -> None:
        """Open the file, made if need be. Raises StoreError, also for a file that is none of ours."""
        self.path = path
        self._lock = threading.Lock()
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # SQLite's other files get its mode
            self._database = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            self._open()
        except BaseException:
            self._database.close()
            raise

    def _open(self) -> None:
        with self._explained():
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")  # in WAL, NORMAL may lose a commit to a power cut
        with self._writing() as database:
            (schema,) = database.execute("PRAGMA user_version").fetchone()
            if schema == 0:
                for statement in _TABLES.split(";"):
                    database.execute(statement)
                database.execute("INSERT INTO settings VALUES ('seed', ?)", (secrets.token_hex(16),))
                database.execute(f"PRAGMA user_version = {SCHEMA}")
            elif schema != SCHEMA:
                message = f"the file of votes has schema {schema}, this version of the pipeline reads {SCHEMA}"
                raise StoreError(message, where=str(self.path), advice="use the version that wrote it")
            self._check_tables(database)
            found = database.execute("SELECT value FROM settings WHERE name = 'seed'").fetchone()
        if found is None or not isinstance(found[0], str):
            raise self._none_of_ours("it has no seed")
        self.seed: str = found[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._database.close()

    # -- what a page does --------------------------------------------------------------------------

    def join(self, name: str, *, again: bool) -> Rater | int:
        """Return the rater of a name, a new one if there is none yet.

        Where there is one already and the person has not said that he comes `again`, his number of votes is returned.
        Raises UsageError for a name that is none, and StoreError.
        """
        shown = _name(name)
        folded = shown.casefold()
        with self._writing() as database:
            row = database.execute("SELECT rater, name, token FROM raters WHERE folded = ?", (folded,)).fetchone()
            if row is not None and again:
                return self._rater(row)
            if row is not None:
                (count,) = database.execute("SELECT count(*) FROM votes WHERE rater = ?", (row[0],)).fetchone()
                return int(count)
            values = (shown, folded, secrets.token_urlsafe(16), _now())
            found = database.execute("INSERT INTO raters (name, folded, token, at) VALUES (?, ?, ?, ?)", values)
            return Rater(int(found.lastrowid or 0), shown, values[2])

    def rater(self, token: str) -> Rater | None:
        """Return the rater of a token; None where there is none."""
        with self._reading() as database:
            row = database.execute("SELECT rater, name, token FROM raters WHERE token = ?", (token,)).fetchone()
        return None if row is None else self._rater(row)

    def save(self, rater: Rater, item: Item, choice: Choice, *, form_first: bool, comment: str) -> None:
        """Save a vote, in place of an earlier one on the item; on the disk when this returns. Raises StoreError."""
        with self._writing() as database:
            _keep(database, item)
            database.execute("DELETE FROM votes WHERE rater = ? AND digest = ?", (rater.number, item.digest))
            database.execute(
                "INSERT INTO votes (rater, digest, choice, form_first, comment, at) VALUES (?, ?, ?, ?, ?, ?)",
                (rater.number, item.digest, choice, form_first, comment[:MAX_COMMENT_CHARS], _now()),
            )

    def undo(self, rater: Rater, digests: set[str]) -> tuple[str, Choice, str] | None:
        """Take back the rater's last vote on one of these items; return digest, choice, comment. Raises StoreError."""
        with self._writing() as database:
            for vote, digest, choice, comment in database.execute(_LATEST, (rater.number,)).fetchall():
                if digest in digests:
                    if choice not in CHOICES or not isinstance(comment, str):
                        raise self._none_of_ours(f"vote {vote} has a value of another type")
                    database.execute("DELETE FROM votes WHERE vote = ?", (vote,))
                    return digest, choice, comment
        return None

    def opened(self, rater: Rater, item: Item) -> None:
        """Remember that the rater looked at the reference. Raises StoreError."""
        with self._writing() as database:
            _keep(database, item)
            values = (rater.number, item.digest, _now())
            database.execute("INSERT OR IGNORE INTO openings VALUES (?, ?, ?)", values)

    def rated(self, rater: Rater) -> list[str]:
        """Return the digests of what a rater has voted on, the first vote first."""
        with self._reading() as database:
            listed = database.execute("SELECT digest FROM votes WHERE rater = ? ORDER BY vote", (rater.number,))
            return [digest for (digest,) in listed]

    # -- what a reader does ------------------------------------------------------------------------

    def all(self) -> list[Vote]:
        """Return every vote, in the order in which they were made. Raises StoreError."""
        with self._reading() as database:
            rows = database.execute(_ALL).fetchall()
        try:
            return [_vote(row) for row in rows]
        except ValueError as error:
            raise self._none_of_ours(str(error)) from error

    # -- the file ----------------------------------------------------------------------------------

    def _check_tables(self, database: sqlite3.Connection) -> None:
        """Refuse views and triggers: what they do to a read or a write is not ours."""
        named = set(database.execute("SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"))
        if others := named - {("table", name) for name in re.findall(r"CREATE TABLE (\w+)", _TABLES)}:
            kind, name = min((str(kind), str(name)) for kind, name in others)
            raise self._none_of_ours(f"the {kind} {name[:40]!r}")

    def _rater(self, row: tuple[Any, ...]) -> Rater:
        number, name, token = row
        if not isinstance(name, str) or not isinstance(token, str):
            raise self._none_of_ours(f"rater {number} has a name that is no text")
        return Rater(number, name, token)

    def _none_of_ours(self, problem: str) -> StoreError:
        message = f"the file of votes holds what the pipeline does not write: {problem}"
        advice = "put a copy of it back, or move it away: the next vote begins a new one"
        return StoreError(message, where=str(self.path), advice=advice)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._explained():
            yield self._database

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Yield the database for one transaction: all of the block is on the disk afterwards, or nothing of it."""
        with self._lock, self._explained():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what SQLite and the system say into a StoreError that says what to do."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            where = str(self.path)
            if self._disk_is_full(error):
                message = "no space left on the disk: nothing of this was saved"
                advice = "free space and do it again; what was saved before is safe"
                raise NoSpaceError(message, where=where, advice=advice) from error
            message = f"the file of votes cannot be used: {getattr(error, 'strerror', None) or error}"
            raise StoreError(message, where=where, advice="check the disk and the file, then do it again") from error

    def _disk_is_full(self, error: sqlite3.Error | OSError) -> bool:
        """Say so also where SQLite only knows that a write went wrong."""
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            return True
        try:
            free = os.statvfs(self.path.parent)
        except OSError:
            return False
        return free.f_bavail == 0


def read_votes(path: Path) -> list[Vote]:
    """Return every vote of a file, none where there is no file. Raises StoreError."""
    if not path.exists():
        return []
    with Votes(path) as votes:
        return votes.all()


def _keep(database: sqlite3.Connection, item: Item) -> None:
    """Keep what is judged beside the votes on it."""
    values = (item.digest, item.pair.against, item.pair.form, item.prompt_id, item.prompt, item.reference)
    texts = (item.against_text, item.form_text)
    database.execute("INSERT OR IGNORE INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*values, *texts))


def _vote(row: tuple[Any, ...]) -> Vote:
    """Return the vote of a row. Raises ValueError for one whose values are of other types, or that chose nothing."""
    number, rater, name, against, form, digest, prompt_id, prompt, reference, against_text, form_text, *rest = row
    choice, form_first, comment, at, opened = rest
    texts = (name, against, form, digest, prompt_id, prompt, reference, against_text, form_text, comment, at)
    if not all(isinstance(one, str) for one in texts) or {type(number), type(rater), type(form_first)} != {int}:
        message = f"vote {str(number)[:20]!r} has a value of another type"
        raise ValueError(message)
    if choice not in CHOICES:
        message = f"vote {number} chose {str(choice)[:40]!r}"
        raise ValueError(message)
    item = Item(Pair(against, form), prompt_id, prompt, reference, against_text, form_text)
    return Vote(number, rater, name, digest, item, choice, bool(form_first), comment, at, bool(opened))


def _name(text: str) -> str:
    """Return a name in its one form. Raises UsageError for one that is empty, too long or cannot be shown."""
    name = " ".join(unicodedata.normalize("NFKC", text).split())
    if not name or len(name) > MAX_NAME_CHARS or any(unicodedata.category(one).startswith("C") for one in name):
        message = f"a name has 1 to {MAX_NAME_CHARS} characters that can be seen"
        raise UsageError(message, where="the rater's name", advice="write another name")
    return name


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
