"""Processes for work that holds the interpreter lock."""

from __future__ import annotations

import ctypes
import itertools
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Final, Generic, Self, TypeVar

from ..job import JobError
from .parallel import drawn

Item = TypeVar("Item")
Result = TypeVar("Result")

_FEW: Final = 3
"""So many items are worked on before processes are started: a process takes half a second to import its modules."""
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


class Workers(Generic[Item, Result]):
    """Processes that apply one function.

    The function is a module's own, or a `functools.partial` of one; items and results travel between
    the processes. The first few items are worked on here, so a small job starts no process.
    """

    def __init__(self, function: Callable[[Item], Result], processes: int) -> None:
        self._function = function
        self._processes = processes
        self._done = 0
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def in_order(self, items: Iterable[Item]) -> Iterator[Result]:
        """Yield function(item) for every item, in their order; items are drawn only a little ahead."""
        source = iter(items)
        here = None if self._processes < 2 else max(_FEW - self._done, 0)  # noqa: PLR2004 - one needs no pool
        for item in itertools.islice(source, here):
            self._done += 1
            yield self._function(item)
        if here is None:
            return
        following = next(source, None)
        if following is None:
            return
        try:
            yield from drawn(self._started(), self._function, itertools.chain([following], source), self._processes + 1)
        except BrokenProcessPool as error:
            advice = "likely the memory did not suffice: give the stage more, or fewer threads"
            message = "a process that worked on the rows was killed"
            raise JobError(message, where=f"after item {self._done}", advice=advice) from error

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Not forked: Arrow and NumPy hold threads of their own by now.
            context: Any = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._processes, mp_context=context, initializer=_prepare_worker)
        return self._pool


def _prepare_worker() -> None:
    """Leave Ctrl-C to the parent, and end when the parent does (Linux only)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent is None or not parent.is_alive():  # it was killed while this process imported its modules
        os._exit(1)
