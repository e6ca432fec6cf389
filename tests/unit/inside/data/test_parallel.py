"""Several items at once, in order."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from pipeline.inside.data.parallel import in_order
from pipeline.inside.data.workers import Workers
from pipeline.inside.job import JobError


def slow_first(item: int) -> int:
    """Take longest for the first item."""
    time.sleep(0.05 if item == 0 else 0)
    return item * 10


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_results_come_in_the_order_of_the_items(threads: int) -> None:
    """Whatever ends first."""
    assert list(in_order(slow_first, range(7), threads)) == [0, 10, 20, 30, 40, 50, 60]


def test_items_are_drawn_only_a_little_ahead() -> None:
    """A million rows are never all in memory."""
    drawn: list[int] = []

    def items() -> Iterator[int]:
        for item in range(50):
            drawn.append(item)
            yield item

    results = in_order(lambda item: item, items(), 2)
    assert next(results) == 0
    assert len(drawn) <= 4
    assert list(results) == list(range(1, 50))


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_comes_out_at_its_place(threads: int) -> None:
    """Results before it are given, then it is raised."""
    results = in_order(lambda item: 10 // (2 - item), range(5), threads)
    assert [next(results), next(results)] == [5, 10]
    with pytest.raises(ZeroDivisionError):
        next(results)


def where(item: int) -> tuple[int, int]:
    """Return the item and the process that worked on it."""
    return item, os.getpid()


def killed_at_six(item: int) -> int:
    """End like a process that ran out of memory."""
    if item == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def refused_at_six(item: int) -> int:
    """Stop for a reason of the user's."""
    if item == 6:
        raise JobError("no sixth item", where="rows.jsonl", advice="write one")
    return item


def test_many_items_go_to_other_processes_in_order() -> None:
    """The first few are worked on here, the others elsewhere; a second file goes to the same processes."""
    with Workers(where, 2) as workers:
        first, second = list(workers.in_order(range(12))), list(workers.in_order(range(4)))
    assert [item for item, _ in first + second] == [*range(12), *range(4)]
    elsewhere = {process for _, process in first} - {os.getpid()}
    assert 1 <= len(elsewhere) <= 2
    assert {process for _, process in second} <= elsewhere


@pytest.mark.parametrize(("items", "processes"), [(3, 2), (12, 1)])
def test_few_items_or_one_process_start_nothing(items: int, processes: int) -> None:
    """A small job does not wait for processes to start."""
    with Workers(where, processes) as workers:
        assert {process for _, process in workers.in_order(range(items))} == {os.getpid()}


def test_a_killed_process_is_said() -> None:
    """As when the memory does not suffice; the job does not hang."""
    with Workers(killed_at_six, 2) as workers, pytest.raises(JobError, match="was killed") as error:
        list(workers.in_order(range(12)))
    assert "memory" in error.value.advice


def test_a_fault_found_in_a_process_keeps_its_place_and_advice() -> None:
    """It is the same error as without processes."""
    with Workers(refused_at_six, 2) as workers, pytest.raises(JobError, match="no sixth item") as error:
        list(workers.in_order(range(12)))
    assert (error.value.where, error.value.advice) == ("rows.jsonl", "write one")
