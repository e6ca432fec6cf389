"""Where things stand in the text of a TOML file, which `tomllib` does not tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

MAX_BYTES = 1 << 17
"""Largest recipe and largest run settings."""
_ENDLESS = re.compile(r"""(?<![\w-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){200}""")

KeyPath = tuple[str | int, ...]
"""A key path: table and key names, and positions in arrays of tables."""

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_KEY = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_KEY})\s*\]\]?\s*(?:\#.*)?$")
_ASSIGNMENT = re.compile(rf"\s*({_KEY})\s*=")


def parse(text: str) -> dict[str, Any]:
    """Return what a TOML text says. Raises ValueError (`TOMLDecodeError` with a place), RecursionError.

    A key of very many parts is refused first: Python's reader takes memory by the square of their number.
    """
    if _ENDLESS.search(text):
        message = "a key of 200 parts and more"
        raise ValueError(message)
    return tomllib.loads(text)


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the line (from 1) on which each table and key of a TOML text begins.

    Keys inside inline tables are not listed: `line_of` falls back to the key that holds the table.
    """
    lines: dict[KeyPath, int] = {}
    counts: dict[KeyPath, int] = {}
    table: KeyPath = ()
    value = _Value()
    for number, line in enumerate(split_lines(text), start=1):
        if value.open:
            value.read(line)
        elif header := _HEADER.match(line):
            table = _enter(split_key(header[2]), counts, is_array=header[1] == "[[")
            lines.setdefault(table, number)
        elif assignment := _ASSIGNMENT.match(line):
            lines.setdefault(table + split_key(assignment[1]), number)
            value.read(line[assignment.end() :])
    return lines


def split_lines(text: str) -> list[str]:
    """Split at the line ends that TOML knows; `str.splitlines` knows more of them."""
    return text.replace("\r\n", "\n").split("\n")


def line_of(lines: dict[KeyPath, int], path: Sequence[str | int]) -> int | None:
    """Return the line of a key, or of the nearest table or key around it; None when there is none."""
    for length in range(len(path), 0, -1):
        if (line := lines.get(tuple(path[:length]))) is not None:
            return line
    return None


def split_key(key: str) -> KeyPath:
    """Split a dotted TOML key (`a."b.c"`) into its parts."""
    return tuple(part[1:-1] if part[0] in "\"'" else part for part in re.findall(_PART, key))


def table_span(text: str, table: Sequence[str]) -> tuple[int, int] | None:
    """Return the lines (from 0, the end not included) of `[table]`: its header and its keys.

    Comments and empty lines before the next header belong to that header.
    """
    lines = split_lines(text)
    headers = [*_header_lines(text), (len(lines), ())]
    for (start, name), (following, _) in pairwise(headers):
        if name == tuple(table):
            end = following
            while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
                end -= 1
            return start, end
    return None


def _header_lines(text: str) -> list[tuple[int, KeyPath]]:
    """Return line (from 0) and name of every `[table]` header that stands outside of a value."""
    found: list[tuple[int, KeyPath]] = []
    value = _Value()
    for number, line in enumerate(split_lines(text)):
        if value.open:
            value.read(line)
        elif header := _HEADER.match(line):
            found.append((number, split_key(header[2])))
        elif assignment := _ASSIGNMENT.match(line):
            value.read(line[assignment.end() :])
    return found


def _enter(parts: KeyPath, counts: dict[KeyPath, int], *, is_array: bool) -> KeyPath:
    """Return the path of a table header: every array of tables on the way gets its last position."""
    path: KeyPath = ()
    for position, part in enumerate(parts):
        path += (part,)
        if is_array and position == len(parts) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path += (counts[path],)
    return path


class _Value:
    """Follows a value over lines, only as far as to know where it ends."""

    _TOKEN = re.compile(r"\"\"\"|'''|\"(?:[^\"\\]|\\.)*\"|'[^']*'|[\[\]{}#]")

    def __init__(self) -> None:
        self.depth = 0
        self.quote = ""

    @property
    def open(self) -> bool:
        return self.depth > 0 or bool(self.quote)

    def read(self, line: str) -> None:
        """Read one more line of the value."""
        at = 0
        while at < len(line):
            if self.quote:
                at = self._leave_string(line, at)
                continue
            token = self._TOKEN.search(line, at)
            if token is None or token[0] == "#":
                return
            at = token.end()
            if token[0] in ('"""', "'''"):
                self.quote = token[0]
            elif token[0] in "[{":
                self.depth += 1
            elif token[0] in "]}":
                self.depth = max(0, self.depth - 1)

    def _leave_string(self, line: str, at: int) -> int:
        """Return the position behind the end of a multi-line string, or the line's end."""
        escaped = r"(?:[^\\]|\\.)*?" if self.quote == '"""' else r".*?"
        end = re.compile(escaped + re.escape(self.quote)).match(line, at)
        if end is None:
            return len(line)
        self.quote = ""
        return end.end()
