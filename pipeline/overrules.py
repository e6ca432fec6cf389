"""The file of a person's overrules: rows that stay although `prepare` would drop them, and the reverse.

JSON lines, one overrule each; `python -m pipeline review` writes them, a person may as well:

    {"decision": "keep", "row": "0123456789abcdef", "file": "rows.jsonl", "line": 12, "was": "tag-list", "text": "…",
     "reason": "…"}

Only `decision` and `row` count. `row` is 16 hex digits: for `keep` those of the sha256 of what `dropped.jsonl` shows as
`raw`, for `drop` the row's `id` in a split (`raw_id`, `content_id`). The other members are for the reader of the file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pipeline.errors import FetchError
from pipeline.files import explained, locked, write_atomic

FINAL: Final = {
    "line-too-long": "nothing of it was read",
    "invalid-utf8": "it cannot be read as text",
    "broken-json": "it has no fields",
    "broken-csv": "it has no fields",
    "missing-field": "it lacks a field that the recipe reads",
    "wrong-type": "a field is no text, or no list of facts",
    "contradicting-facts": "no answer could hold what it must and must not",
    "empty": "there is nothing to learn from",
    "control-characters": "a tokenizer and a terminal take them for orders",
    "replacement-characters": "what stood there is lost",
    "exact-duplicate": "the same text once more teaches nothing, and would stand in two splits as well as in one",
}
"""Reasons that no person can overrule, and why. A test holds them against those of `prepare`."""

DEFAULT_NAME: Final = "overrules.jsonl"
"""Name of the file, beside the recipe, where the recipe names none."""

Decision = Literal["keep", "drop"]
_ROW: Final = re.compile(r"[0-9a-f]{16}")
_MEMBERS: Final[Mapping[str, type]] = {
    "decision": str,
    "row": str,
    "file": str,
    "line": int,
    "was": str,
    "text": str,
    "reason": str,
}
_TEXT_CHARS: Final = 200
_TOLD: Final = 10


@dataclass(frozen=True)
class Overrule:
    """One decision. `number` is its line in the file; `file` and `line` say where the row stood when it was made."""

    decision: Decision
    row: str
    file: str = ""
    line: int = 0
    was: str = ""
    text: str = ""
    reason: str = ""
    number: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """What must stand only once in a file."""
        return self.decision, self.row

    def to_line(self) -> str:
        """Return the line of the file."""
        members = {name: value for name, value in asdict(self).items() if name != "number" and value}
        if "text" in members:
            members["text"] = self.text[:_TEXT_CHARS]
        return json.dumps(members, ensure_ascii=False) + "\n"


def raw_id(raw: str) -> str:
    """Return the digest that names a dropped row, from its `raw` in `dropped.jsonl`."""
    return hashlib.sha256(raw.encode()).hexdigest()[:16]


def content_id(row: Mapping[str, Any]) -> str:
    """Return the digest that names a row of a split: its `id`, unless rows of equal content were told apart."""
    content = {"input": row["input"], "output": row["output"]}
    return hashlib.sha256(json.dumps(content, ensure_ascii=False, sort_keys=True).encode()).hexdigest()[:16]


def read_overrules(path: Path) -> list[Overrule]:
    """Return the overrules of a file, in its order; blank lines do not count. Raises FetchError with every problem."""
    try:
        return parse_overrules(path.read_bytes(), path)
    except OSError as error:
        message = f"the overrules cannot be read: {error.strerror}"
        raise FetchError(message, where=str(path), advice="check data.overrules in the recipe") from error


def parse_overrules(data: bytes, path: Path) -> list[Overrule]:
    """Return the overrules in the bytes of the file `path`. Raises FetchError."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FetchError("the overrules are not UTF-8", where=str(path), advice="save the file as UTF-8") from error
    found: list[Overrule] = []
    problems: list[str] = []
    seen: dict[tuple[str, str], int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        overrule = _parse(line, number)
        if isinstance(overrule, str):
            problems.append(f"line {number}: {overrule}")
        elif overrule.key in seen:
            problems.append(f"line {number}: the same overrule as line {seen[overrule.key]}")
        else:
            seen[overrule.key] = number
            found.append(overrule)
    if problems:
        more = [f"and {len(problems) - _TOLD} more"] if len(problems) > _TOLD else []
        message = "\n".join(["the overrules cannot be used:", *(f"  {text}" for text in [*problems[:_TOLD], *more])])
        advice = "mend or remove these lines; the page of `review` writes them"
        raise FetchError(message, where=str(path), advice=advice)
    return found


def _parse(line: str, number: int) -> Overrule | str:
    """Return the overrule of a line, or what is wrong with it."""
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError):
        raw = None
    if not isinstance(raw, dict):
        return "not a JSON object"
    fault = _fault(raw)
    return fault or Overrule(**raw, number=number)


def _fault(raw: Mapping[str, Any]) -> str:
    """Say what is wrong with the members of a line, if anything."""
    if unknown := sorted(raw.keys() - _MEMBERS.keys()):
        return f"unknown key {unknown[0]!r}; known are {', '.join(_MEMBERS)}"
    for name, value in raw.items():
        if type(value) is not _MEMBERS[name]:
            return f"{name!r} is {json.dumps(value, ensure_ascii=False)[:40]}, another type expected"
        if isinstance(value, str) and any("\ud800" <= sign <= "\udfff" for sign in value):
            return f"{name!r} holds half of a surrogate pair"
    if raw.get("decision") not in ("keep", "drop"):
        return "'decision' must be 'keep' or 'drop'"
    return "" if _ROW.fullmatch(raw.get("row", "")) else "'row' must be 16 hex digits"


def change_overrules(path: Path, lock: Path, change: Callable[[list[Overrule]], Iterable[Overrule]]) -> list[Overrule]:
    """Replace the overrules of a file at once; return them. A crash leaves the old file or the new one.

    `change` gets those that are there (none where there is no file) and returns those to be there; lines that it
    returns unchanged are written as they were. `lock` is held meanwhile. Raises FetchError, StoreError.
    """
    with explained(path), locked(lock, waiting=lambda: True):
        before = read_overrules(path) if path.exists() else []
        lines = path.read_text(encoding="utf-8-sig").split("\n") if before else []
        texts = [
            f"{lines[one.number - 1].rstrip()}\n" if one in before else one.to_line() for one in change(list(before))
        ]
        write_atomic(path, "".join(texts).encode())
    return read_overrules(path)


def entries(overrules: Iterable[Overrule]) -> list[dict[str, Any]]:
    """Return what `prepare` reads: the decisions with their lines. Another wording of a reason changes nothing."""
    return [{"decision": one.decision, "row": one.row, "number": one.number} for one in overrules]
