"""Events as data. Every event of a run goes to its `log.jsonl`, and to the terminal or standard output.

Event names are literal dotted names (`stage.started`, `cache.hit`, `artifact.published`).
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import IO, Any

import structlog

Sink = Callable[[Mapping[str, Any]], None]


class RunLog:
    """The log of one run: structlog stamps each event, the sinks receive it."""

    def __init__(self, run: str, sinks: list[Sink]) -> None:
        self._lock = threading.Lock()
        self._sinks = sinks
        self._logger = structlog.wrap_logger(
            structlog.PrintLogger(),
            processors=[
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                self._deliver,
            ],
            run=run,
        )

    def __call__(self, event: str, **data: Any) -> None:
        """Log one event. Safe from any thread."""
        self._logger.info(event, **data)

    def _deliver(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
        with self._lock:
            for sink in self._sinks:
                sink(event)
        raise structlog.DropEvent


def json_sink(stream: IO[str]) -> Sink:
    """Return a sink that writes one JSON object per line, flushed at once.

    When the reader of a pipe goes away, what follows is thrown away: a build does not end with its onlooker.
    """

    def write(event: Mapping[str, Any]) -> None:
        try:
            stream.write(json.dumps(event, ensure_ascii=False, default=str) + "\n")
            stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

    return write


def open_log(path: Path) -> IO[str]:
    """Open a run's log file for appending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a", encoding="utf-8")
