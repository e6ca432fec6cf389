"""Two texts held against each other, line by line."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Final

from pipeline.differing.fields import shown

MAX_BYTES: Final = 1 << 20
"""Longer texts are compared by byte: matching lines takes a time that grows with their square."""
_SHOWN: Final = 200


def differing_lines(first: Path, second: Path) -> dict[str, Any] | None:
    """Return the lines that differ as `changes` (`-` and `+` with their line's number); None where it is no text."""
    if max(first.stat().st_size, second.stat().st_size) > MAX_BYTES:
        return None
    try:
        here, there = (path.read_bytes().decode().split("\n") for path in (first, second))
    except UnicodeDecodeError:
        return None
    changes = []
    for kind, start, end, begin, stop in difflib.SequenceMatcher(None, here, there, autojunk=False).get_opcodes():
        if kind != "equal":
            changes += [f"- {number + 1}: {shown(here[number])}" for number in range(start, end)]
            changes += [f"+ {number + 1}: {shown(there[number])}" for number in range(begin, stop)]
    return {"lines": [len(here), len(there)], "changes": changes[:_SHOWN], "more": max(0, len(changes) - _SHOWN)}
