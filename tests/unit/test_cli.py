"""What every command does when its output has no place, or when it is stopped before it has begun."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from pipeline.errors import InterruptedRunError, NoSpaceError
from tests.support.interrupts import interrupts_heard


def test_a_full_disk_behind_the_output_is_told_in_words() -> None:
    """`... > file` on a disk without space: what, where, what to do, and the code of a full disk."""
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "pipeline", "stages"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == NoSpaceError.exit_code
    assert "no space left" in done.stderr
    assert "where: standard output" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_while_modules_are_loaded_is_told_in_words(tmp_path: Path) -> None:
    """A module that the command needs waits, as on a cold disk, for a person who changes his mind."""
    waits = "import os, time\nos.write(1, b'x')\ntime.sleep(60)\n"
    (tmp_path / "structlog.py").write_text(waits)
    with interrupts_heard():
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "stages"],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert process.stdout is not None
    process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (InterruptedRunError.exit_code, "stopped by the user\n")
