"""A process with a limit: what it said in events, when, and how it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_TAIL = 12
_GRACE_S = 5.0


class NotMeasuredError(Exception):
    """A part cannot be measured; the text says why, and stands in the table."""


@dataclass(frozen=True)
class Event:
    """A JSON line that a process wrote to standard error, and when it came, seconds of a clock that only goes on."""

    at: float
    data: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its dotted name."""
        return str(self.data["event"])


@dataclass(frozen=True)
class Finished:
    """How a process ended: its exit code, its events, the last other lines, and how long it ran."""

    code: int
    events: tuple[Event, ...]
    tail: tuple[str, ...]
    seconds: float
    timed_out: bool

    def measured(self, name: str) -> float | None:
        """Return a figure that the process reported by `job.measured`."""
        values = [one.data["value"] for one in self.events if one.name == "job.measured" and one.data["name"] == name]
        return float(values[-1]) if values else None

    def check(self, limit_s: float) -> None:
        """Raise NotMeasuredError unless the process ended well."""
        if self.timed_out:
            raise NotMeasuredError(f"it was stopped after {limit_s:.0f} s, which is all it was given")
        if self.code:
            raise NotMeasuredError(self._complaint())

    def _complaint(self) -> str:
        failed = next((one.data for one in self.events if one.name == "job.failed"), None)
        if failed is not None:
            return f"{failed['what']} ({failed['where']})" if failed.get("where") else str(failed["what"])
        last = self.tail[-1] if self.tail else "it said nothing"
        return f"it ended by signal {-self.code}: {last}" if self.code < 0 else f"it ended with {self.code}: {last}"


def run(command: Sequence[str | Path], folder: Path, environ: Mapping[str, str], limit_s: float, log: Path) -> Finished:
    """Run a command in a process group of its own, which is killed as a whole at the limit.

    Lines of standard error that are JSON objects with an `event` are events. All else goes into the file `log` too.
    """
    started = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as told:
        process = subprocess.Popen(
            list(map(str, command)),
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        listener = _Listener(process.stderr, told)
        timed_out = False
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:  # what the process started may outlive it, and an interrupted command must leave nothing
            _kill(process)
        listener.join(_GRACE_S)
    seconds = time.monotonic() - started
    tail = tuple(listener.tail) or _last_lines(log)
    return Finished(process.returncode, tuple(listener.events), tail, seconds, timed_out)


class _Listener(threading.Thread):
    """Reads what a process says while it runs."""

    def __init__(self, stream: IO[bytes] | None, told: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self.events: list[Event] = []
        self.tail: deque[str] = deque(maxlen=_TAIL)
        self._stream, self._told = stream, told
        self.start()

    def run(self) -> None:
        """Read to the end."""
        for line in self._stream or ():
            at = time.monotonic()
            event = read_event(line)
            if event is not None:
                self.events.append(Event(at, event))
                continue
            if text := line.decode("utf-8", "replace").strip():
                self.tail.append(text)
            self._told.write(line)
            self._told.flush()


def read_event(line: bytes) -> Mapping[str, Any] | None:
    """Return the event of a line; None for a line that is none."""
    if not line.startswith(b"{"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and "event" in found else None


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_lines(log: Path) -> tuple[str, ...]:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return tuple(line.strip() for line in lines if line.strip())[-_TAIL:]
