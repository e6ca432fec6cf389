"""Work on several items at once, results in the items' order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Yield function(item) for every item, in their order, computed by up to `threads` threads.

    Items are drawn in the caller's thread, at most `threads` ahead of what was yielded, so that memory stays bounded.
    Worth it for work that lets go of the interpreter lock: NumPy, Arrow.
    """
    if threads < 2:  # noqa: PLR2004 - one thread needs no pool
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from drawn(pool, function, items, threads)


def drawn(pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], ahead: int) -> Iterator[Result]:
    """Yield function(item) in order, with at most `ahead` items given to the pool beyond what was yielded."""
    waiting: deque[Future[Result]] = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
