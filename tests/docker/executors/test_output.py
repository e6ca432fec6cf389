"""What a job says reaches the log: all of it, as it is said."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from pipeline.errors import InterruptedRunError
from tests.support.docker_bench import DockerBench

Make = Callable[..., DockerBench]


def test_a_hundred_thousand_lines_and_a_quick_end(make_bench: Make) -> None:
    """A job that says much and exits at once loses no line."""
    bench = make_bench()
    bench.run("talk", lines=100_000)
    numbers = [event["number"] for event in bench.events if event["event"] == "probe.line"]
    assert numbers == list(range(100_000))


def test_lines_arrive_while_the_job_runs(make_bench: Make) -> None:
    """The display moves during a training, not after it."""
    bench = make_bench()
    seen: list[float] = []
    original = bench.sink

    def sink(event: str, **data: object) -> None:
        original(event, **data)
        if event == "probe.pids":
            seen.append(time.monotonic())
            bench.cancelled.set()

    bench.sink = sink  # type: ignore[method-assign]
    with pytest.raises(InterruptedRunError):
        bench.run("hang")
    assert time.monotonic() - seen[0] < 2


def test_a_silent_job_is_waited_for(make_bench: Make) -> None:
    """No line for longer than the client waits for an answer is no reason to give up."""
    bench = make_bench()
    bench.executor._engines.of("training-cpu").api.timeout = 1  # type: ignore[attr-defined]
    assert (bench.run("silence", seconds=3) / "x").exists()


def test_cancelling_takes_less_than_two_seconds(make_bench: Make) -> None:
    """From the Ctrl-C to a removed container."""
    bench = make_bench()
    asked: list[float] = []

    def cancel() -> None:
        asked.append(time.monotonic())
        bench.cancelled.set()

    threading.Timer(1.5, cancel).start()
    with pytest.raises(InterruptedRunError):
        bench.run("hang")
    assert time.monotonic() - asked[0] < 2
    assert bench.left_over() == []
