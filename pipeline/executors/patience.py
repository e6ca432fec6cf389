"""When an executor stops waiting for a job: the user's Ctrl-C, the time limit."""

from __future__ import annotations

import threading
import time

from pipeline.errors import ExecutorError, InterruptedRunError

POLL_S = 0.1
"""How often an executor looks whether it should stop waiting."""


class Patience:
    """Asked again and again while a job runs; the time counts from its creation."""

    def __init__(self, stage: str, cancelled: threading.Event, timeout_s: float | None) -> None:
        self._stage = stage
        self._cancelled = cancelled
        self._timeout_s = timeout_s
        self._started = time.monotonic()

    def check(self) -> None:
        """Raise InterruptedRunError once `cancelled` is set, ExecutorError once the time is over."""
        if self._cancelled.is_set():
            message = f"{self._stage}: stopped before it was done"
            advice = "run again: finished stages stay, training goes on from its last checkpoint"
            raise InterruptedRunError(message, advice=advice)
        if self._timeout_s is not None and time.monotonic() - self._started > self._timeout_s:
            message = f"no end after {self._timeout_s:.0f} s"
            advice = "raise the time limit, or see the log for where it hangs"
            raise ExecutorError(message, where=self._stage, advice=advice)
