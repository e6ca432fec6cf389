"""Who is alive: the processes below one, and those that have to do with a folder."""

from __future__ import annotations

import os
from pathlib import Path


def below(parent: int) -> list[int]:
    """Return the numbers of all processes that one has started, and that those have, and so on."""
    children: dict[int, list[int]] = {}
    for number, above in _parents().items():
        children.setdefault(above, []).append(number)
    found, todo = [], [parent]
    while todo:
        started = children.get(todo.pop(), [])
        found += started
        todo += started
    return found


def about(folder: Path) -> list[int]:
    """Return the numbers of living processes that name a folder: in their command, environment, or where they are."""
    name = os.fsencode(folder)
    return [number for number in _parents() if number != os.getpid() and name in _seen(number)]


def _parents() -> dict[int, int]:
    """Return number → parent of every process that is not a zombie."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text(errors="replace").rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue  # gone meanwhile
        if state != "Z":
            found[int(path.parent.name)] = int(parent)
    return found


def _seen(number: int) -> bytes:
    process = Path("/proc") / str(number)
    found = b""
    for part in ("cmdline", "environ"):
        try:
            found += (process / part).read_bytes()
        except OSError:
            continue  # gone meanwhile, or another user's
    try:
        return found + b"\0" + os.fsencode((process / "cwd").readlink()) + b"/"
    except OSError:
        return found
