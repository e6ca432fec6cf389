"""From a job's output lines to events, and from its end to a verdict: shared by all executors."""

from __future__ import annotations

import errno
import json
from collections import deque
from collections.abc import Iterable, Iterator
from typing import IO, Any

from pipeline.errors import ExecutorError, NoSpaceError, PipelineError, StageError
from pipeline.executors.contract import EventSink

JOB_FAILED = 10
"""Exit code of a job that reported its problem itself: `inside.job.FAILED_EXIT_CODE`."""
_TAIL_LINES = 15
LONGEST_LINE_CHARS = 1 << 20
"""A longer line comes in pieces: a job that writes no line break must not fill the host's memory."""

_OF_THE_HOST = frozenset({"artifact", "cache", "environment", "gate", "image", "run", "stage"})
"""First parts of events that only the host tells: a job that does is quoted, not believed."""
_BEGINNING = '{"event":'
"""How `inside.job.emit` begins an event."""
_TAKEN = ("self", "event", "stage", "run")
"""Members that the host sets."""


def whole_lines(stream: IO[str]) -> Iterator[str]:
    """Yield the lines of a job's output, in bounded memory."""
    return iter(lambda: stream.readline(LONGEST_LINE_CHARS), "")


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
            before, event = split_event(text)
            self._quote(before)
            if event is None:
                continue
            name = event["event"]
            data = {member: value for member, value in event.items() if member not in _TAKEN}
            if name == "job.failed":
                self.failure = data
            if not self._pass_on(name, data):
                self._quote(text)

    def _quote(self, text: str) -> None:
        """Pass on a line that is no event as what it is."""
        if text.strip():
            self._tail.append(text)
            self._pass_on("job.output", {"text": text[:2000]})

    def _pass_on(self, event: str, data: dict[str, Any]) -> bool:
        """Give one event to the sink; return whether it could take it. What keeps it from writing is for `judge`."""
        try:
            self._sink(event, stage=self._stage, **data)
        except (OSError, PipelineError) as error:
            self._sink_error = self._sink_error or error
        except Exception:  # noqa: BLE001 - members of another type than the event has; the output must go on being read
            return False
        return True

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
            where, advice = (str(self.failure.get(name) or "") for name in ("where", "advice"))
            if not advice and self.failure.get("errno"):
                advice = "check that the folder is still there and can be read and written, then run again"
            raise StageError(what, where=where, advice=advice)
        tail = "\n".join(f"    {line}" for line in self._tail)
        if exit_code in (-9, 137):
            message = f"{self._stage}: the job was killed (signal 9), most likely for lack of memory"
            raise ExecutorError(message, where=tail, advice="free memory or lower batch_size, then run again")
        message = f"{self._stage}: the job crashed (exit code {exit_code}); its last lines:\n{tail}"
        advice = "the last line above names the cause; if it is not yours to mend, please report it with this log"
        raise ExecutorError(message, where="log.jsonl of this run", advice=advice)


def split_event(text: str) -> tuple[str, dict[str, Any] | None]:
    """Return what stands before a line's event, and the event: another thread may have begun the line with other text.

    A line without an event is all text.
    """
    at = text.find(_BEGINNING)
    event = _event(text[at:]) if at >= 0 else _event(text)
    return (text[: max(at, 0)], event) if event is not None else (text, None)


def _event(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    name = found.get("event")
    return found if isinstance(name, str) and name.partition(".")[0] not in _OF_THE_HOST else None
