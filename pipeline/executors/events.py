"""From a job's output lines to events, and from its end to a verdict: shared by all executors."""

from __future__ import annotations

import errno
import json
from collections import deque
from collections.abc import Iterable
from typing import Any

from pipeline.errors import ExecutorError, NoSpaceError, StageError
from pipeline.executors.contract import EventSink

JOB_FAILED = 10
"""Exit code of a job that reported its problem itself: `inside.job.FAILED_EXIT_CODE`."""
_TAIL_LINES = 15


class JobOutput:
    """Reads a job's lines: JSON events are passed on, other text is kept as the job's own output."""

    def __init__(self, stage: str, sink: EventSink) -> None:
        self._stage = stage
        self._sink = sink
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._sink_error: Exception | None = None
        self.failure: dict[str, Any] | None = None

    def read(self, lines: Iterable[str]) -> None:
        """Pass on every line until the stream ends: a job whose output nobody takes would wait forever."""
        for line in lines:
            text = line.rstrip("\r\n")
            event = _event(text)
            if event is None:
                if text.strip():
                    self._tail.append(text)
                    self._pass_on("job.output", text=text[:2000])
                continue
            name = event.pop("event")
            event.pop("stage", None)
            if name == "job.failed":
                self.failure = event
            self._pass_on(name, **event)

    def _pass_on(self, event: str, **data: Any) -> None:
        """Give one event to the sink; keep its first error for `judge`."""
        try:
            self._sink(event, stage=self._stage, **data)
        except Exception as error:  # noqa: BLE001 - whatever it is, the job's output must go on being read
            self._sink_error = self._sink_error or error

    def judge(self, exit_code: int) -> None:
        """Raise what an exit code means; return on success. An event that could not be written down is raised first."""
        if self._sink_error is not None:
            raise self._sink_error
        if exit_code == 0:
            return
        if exit_code == JOB_FAILED and self.failure is not None:
            if self.failure.get("errno") in (errno.ENOSPC, errno.EDQUOT):
                message = f"{self._stage}: no space left on the disk"
                raise NoSpaceError(
                    message,
                    where=str(self.failure.get("where", "")),
                    advice="free space, or run `python -m pipeline gc`; then run again",
                )
            what = f"{self._stage}: {self.failure.get('what', 'failed')}"
            raise StageError(what, where=str(self.failure.get("where", "")), advice=str(self.failure.get("advice", "")))
        tail = "\n".join(f"    {line}" for line in self._tail)
        if exit_code in (-9, 137):
            message = f"{self._stage}: the job was killed (signal 9), most likely for lack of memory"
            raise ExecutorError(message, where=tail, advice="free memory or lower batch_size, then run again")
        message = f"{self._stage}: the job crashed (exit code {exit_code}); its last lines:\n{tail}"
        advice = "the last line above names the cause; if it is not yours to mend, please report it with this log"
        raise ExecutorError(message, where="log.jsonl of this run", advice=advice)


def _event(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("event"), str) else None
