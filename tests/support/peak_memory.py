"""The most memory that a program had, whoever starts it.

The kernel's `ru_maxrss` outlives exec: a program that a large process starts would begin with that one's peak. So it is
started by a small one.
"""

from __future__ import annotations

import sys
from pathlib import Path

_LAUNCHER = """
import os, sys
process = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(process, 0)
with open(sys.argv[1], "w") as told:
    told.write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def watched(told: Path) -> list[str]:
    """Return what is put before a command so that its peak is written to the file `told`; it needs a full path."""
    return [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(told)]


def peak_mb(told: Path) -> float:
    """Return the peak in MB, once the command has ended."""
    return int(told.read_text()) * 1024 / 1e6
