"""What every command does when its output has no place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pipeline.errors import NoSpaceError


def test_a_full_disk_behind_the_output_is_told_in_words() -> None:
    """`... > file` on a disk without space: what, where, what to do, and the code of a full disk."""
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "pipeline", "stages"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == NoSpaceError.exit_code
    assert "no space left" in done.stderr
    assert "where: standard output" in done.stderr
    assert "Traceback" not in done.stderr
