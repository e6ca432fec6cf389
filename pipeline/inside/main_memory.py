"""How much main memory a program may still take. Of Linux only: elsewhere it is not known."""

from __future__ import annotations

from pathlib import Path

MEMINFO = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")
"""The control group of a container, as it sees it."""

_VERSIONS = (("memory.max", "memory.stat", "anon"), ("memory/memory.limit_in_bytes", "memory/memory.stat", "total_rss"))
"""Files of the limit and of what is used, and what programs have of that (kernel: cgroup-v2, cgroup-v1/memory)."""


def available() -> int | None:
    """Return bytes: what the machine has free, swap included, or less where a container has a limit. None: unknown."""
    try:
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text(encoding="ascii").splitlines())
        free = 1024 * sum(int(lines[name].split()[0]) for name in ("MemAvailable", "SwapFree"))
    except (OSError, ValueError, KeyError):
        return None
    limit = _left_of_group()
    return free if limit is None else min(free, limit)


def _left_of_group() -> int | None:
    """Return what the control group's limit leaves: pages of files do not count, they are given back."""
    for most, told, programs in _VERSIONS:
        try:
            limit = int((GROUP / most).read_text(encoding="ascii"))  # "max" is no number, and no limit
            used = dict(line.split() for line in (GROUP / told).read_text(encoding="ascii").splitlines())
            return max(0, limit - int(used[programs]))
        except (OSError, ValueError, KeyError):
            continue
    return None
