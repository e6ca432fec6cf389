"""Several items at once, in order."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from pipeline.inside.data.parallel import in_order


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
