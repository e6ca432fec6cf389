"""What a container costs over a process: a job that does next to nothing, by the local and by the docker executor."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from bench.table import Table, summary_ms
from pipeline.executors.contract import Executor
from pipeline.executors.docker.executor import DockerExecutor
from pipeline.executors.local import LocalExecutor
from pipeline.settings import RunSettings
from tests.support.engines import own_engine, small_image
from tests.support.executor_contract import Bench


def measure(rounds: int = 11) -> Table:
    """Return the table. Needs a container engine; local and docker take turns."""
    image = small_image(own_engine())
    executors: dict[str, Executor] = {
        "local executor": LocalExecutor(lambda _: Path(sys.executable)),
        "docker executor": DockerExecutor(lambda _: image, RunSettings(), lambda *_, **__: None),
    }
    with tempfile.TemporaryDirectory() as name:
        benches = {}
        for label, executor in executors.items():
            folder = Path(name) / label.partition(" ")[0]
            folder.mkdir()
            benches[label] = Bench(folder, executor)
        times: dict[str, list[float]] = {label: [] for label in benches}
        for _ in range(rounds + 1):
            for label, bench in benches.items():
                times[label].append(_seconds(bench))
    rows = tuple((label, *summary_ms(found[1:])) for label, found in times.items())
    note = (
        f"One empty job, {rounds} rounds in turns, the first left out. Milliseconds; a container costs the difference."
    )
    return Table("A container against a process", note, ("what", "median", "lowest", "highest"), rows)


def _seconds(bench: Bench) -> float:
    started = time.perf_counter()
    bench.run("copy")
    return time.perf_counter() - started
