"""Run one program: ``python -m inside REQUEST.json``."""

from __future__ import annotations

import time

STARTED = time.perf_counter()  # before the other imports: they are a part of the program's work

import ctypes
import importlib
import os
import signal
import sys
import traceback
from pathlib import Path

from .job import FAILED_EXIT_CODE, Job, JobError, emit

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent() -> None:
    """Ask the kernel to kill this process when the host that started it dies (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def run(request: Path) -> int:
    """Run the program that the request names; return the exit code for the host."""
    job = Job.read(request)
    program = importlib.import_module(f".{job.program}", __package__)
    try:
        program.main(job)
    except JobError as error:
        emit("job.failed", what=error.what, where=error.where, advice=error.advice)
        return FAILED_EXIT_CODE
    except OSError as error:
        emit("job.failed", what=f"{error.strerror or error}", where=str(error.filename or ""), errno=error.errno)
        traceback.print_exc()
        return FAILED_EXIT_CODE
    emit("job.done", seconds=round(time.perf_counter() - STARTED, 4))
    return 0


if __name__ == "__main__":
    die_with_parent()
    os.umask(0o022)
    exit_code = run(Path(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)  # every file is closed by now, and torch takes a second to take itself apart
