"""A container costs at most half a second more than a process."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.executors.local import LocalExecutor
from tests.support.docker_bench import DockerBench
from tests.support.executor_contract import Bench

_RUNS = 11
_LIMIT_S = 0.5


def median_s(bench: Bench) -> float:
    """Return the median time of a job that does next to nothing, the first one left out."""
    bench.run("copy")
    times = []
    for _ in range(_RUNS):
        started = time.perf_counter()
        bench.run("copy")
        times.append(time.perf_counter() - started)
    return statistics.median(times)


@pytest.mark.slow
def test_overhead(tmp_path: Path, make_bench: Callable[..., DockerBench]) -> None:
    """Median of 11 each, on the same machine at the same time. A machine that does other work proves nothing."""
    (tmp_path / "local").mkdir()
    local = median_s(Bench(tmp_path / "local", LocalExecutor(lambda _: Path(sys.executable))))
    overhead = median_s(make_bench()) - local
    if overhead > _LIMIT_S and os.getloadavg()[0] > (os.cpu_count() or 1):
        pytest.skip(f"the machine is busy; measured {overhead:.2f} s")
    assert overhead <= _LIMIT_S
