"""The contract of an executor, on the local one, with real processes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeline.executors.local import LocalExecutor, network_prefix
from tests.support.executor_contract import Bench, Contract


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
