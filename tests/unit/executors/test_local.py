"""The contract of an executor, on the local one, with real processes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.executors.local import LocalExecutor, network_prefix
from tests.support.executor_contract import Bench, Contract

REPOSITORY = Path(__file__).parents[3]


class LocalBench(Bench):
    """Looks at processes."""

    def need_network_of_its_own(self) -> None:
        """Ask for the right to make a network namespace."""
        if not network_prefix():
            pytest.skip("this system does not let us make a network namespace")

    def left_over(self) -> list[str]:
        """Return the processes that told their numbers and are still there."""
        told = [event for event in self.events if event["event"] == "probe.pids"]
        assert told
        return [str(event[name]) for event in told for name in ("own", "child") if is_alive(event[name])]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A bench in an empty folder."""
    return LocalBench(tmp_path, LocalExecutor(lambda _: Path(sys.executable)))


def is_alive(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class TestLocal(Contract):
    """The whole contract."""


def test_a_host_that_dies_while_a_job_is_starting_leaves_nothing_running(tmp_path: Path) -> None:
    """SIGKILL before the job's interpreter is there to ask for its own end: on a loaded machine that takes seconds."""
    slow = tmp_path / "slow-python"
    slow.write_text(f'#!/bin/sh\necho $$ > "{tmp_path}/number"\nexec sleep 30\n')
    slow.chmod(0o755)
    code = (
        "import sys; from pathlib import Path; from pipeline.executors.local import LocalExecutor\n"
        "from tests.support.executor_contract import Bench\n"
        "Bench(Path(sys.argv[1]), LocalExecutor(lambda _: Path(sys.argv[2]))).run('hang')\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(slow)], cwd=REPOSITORY) as host:
        job = int(wait_for(lambda: (tmp_path / "number").is_file() and (tmp_path / "number").read_text()))
        host.kill()
    wait_for(lambda: not is_alive(job))


def wait_for(find: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Ask until the answer is not false; return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := find():
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s")
