"""Processes that apply one function: none outlives the job that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[4]
MARK = "TEST_OF_WORKERS"
"""An environment variable, which the processes of a job inherit."""

JOB = """
import multiprocessing, os, time
from pathlib import Path
from pipeline.inside.data.workers import Workers

def work(item):
    if multiprocessing.parent_process() is None:
        return item  # one of the first few, which are worked on in the job itself
    Path(f"worker-{os.getpid()}").touch()
    time.sleep(600)

if __name__ == "__mp_main__":
    Path(f"import-{os.getpid()}").touch()
    time.sleep(float(os.environ.get("SLOW_IMPORT_S", "0")))  # a worker imports its modules before it is prepared

if __name__ == "__main__":
    with Workers(work, 2) as workers:
        list(workers.in_order(range(100)))
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")


def marked(value: str) -> set[int]:
    """Return the processes that carry the mark and still run."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={value}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.add(int(folder.name))
        except OSError:
            continue  # gone meanwhile, or somebody else's
    return found


def wait_until(holds: Callable[[], bool], seconds: float) -> bool:
    """Ask again and again, at most so long; return whether it held in the end."""
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()


def kill_once(folder: Path, sign: str, slow_import_s: float = 0) -> set[int]:
    """Start the job, kill it when two processes have given a sign, and return those that go on."""
    (folder / "job.py").write_text(JOB)
    variables = {**os.environ, MARK: str(folder), "PYTHONPATH": str(REPOSITORY), "SLOW_IMPORT_S": str(slow_import_s)}
    job = subprocess.Popen([sys.executable, "job.py"], cwd=folder, env=variables)
    try:
        assert wait_until(lambda: len(list(folder.glob(f"{sign}-*"))) == 2, seconds=60)
        workers = {int(path.name.removeprefix(f"{sign}-")) for path in folder.glob(f"{sign}-*")}
        assert workers < marked(str(folder))
        job.kill()
        job.wait()
        wait_until(lambda: not marked(str(folder)), seconds=slow_import_s + 10)
        return marked(str(folder))
    finally:
        job.kill()
        job.wait()
        for process in marked(str(folder)):
            os.kill(process, signal.SIGKILL)


def test_no_worker_outlives_a_job_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL leaves the job no moment to end its processes; each of them ends by itself."""
    assert kill_once(tmp_path, "worker") == set()


def test_no_worker_comes_to_life_after_its_job_was_killed(tmp_path: Path) -> None:
    """One that was still importing its modules would wait forever for items that nobody gives."""
    assert kill_once(tmp_path, "import", slow_import_s=1) == set()
