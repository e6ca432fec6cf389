"""One run of the command line that will be killed: what it said, and what it was doing when it died."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.chaos.processes import below

REPOSITORY: Final = Path(__file__).parents[2]
WAYS: Final = ("everything", "client", "job")
"""Who gets SIGKILL: the client and all below it in any order, the client alone, or one job (the client then ends)."""
_END_S: Final = 1800.0
"""Longest that an attempt may need for its own end: a whole build on a busy machine. Longer is a run that hangs."""


@dataclass(frozen=True)
class Work:
    """What is built: a recipe, in a build folder, up to a stage (none: all)."""

    build: Path
    recipe: str
    target: str = ""

    def command(self) -> list[str]:
        """Return the command line."""
        rest = ["--to", self.target] if self.target else []
        start = [sys.executable, "-m", "pipeline", "run", "--build", str(self.build), "--log", "json"]
        return [*start, "--recipe", self.recipe, *rest]


@dataclass
class Attempt:
    """A running command. Its events are read as they come, each with the time since its start."""

    work: Work
    started: float = field(default_factory=time.monotonic)
    started_at: float = field(default_factory=time.time)
    events: list[tuple[float, Mapping[str, Any]]] = field(default_factory=list)
    job_ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.process = subprocess.Popen(
            self.work.command(),
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self.errors = ""
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._read_events, self._read_errors)]
        for reader in self._readers:
            reader.start()

    def _read_events(self) -> None:
        for line in self.process.stdout or ():
            with contextlib.suppress(ValueError):  # the last line of one that was killed
                event = json.loads(line)
                self.events.append((time.monotonic() - self.started, event))
                if event["event"] == "job.done":
                    self.job_ended.set()

    def _read_errors(self) -> None:
        self.errors = self.process.stderr.read() if self.process.stderr else ""

    def lives(self, seconds: float) -> bool:
        """Wait that long for its end; say whether it has not come."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=max(0.0, seconds))
        return self.process.poll() is None

    def kill(self, way: str, chance: random.Random) -> str:
        """Kill it in one of `WAYS`; return the way that was possible. The command has ended afterwards."""
        jobs = [event["pid"] for _, event in self.events if event["event"] == "job.started"]
        if way == "job" and jobs and self.process.poll() is None and jobs[-1] in below(self.process.pid):
            _kill(jobs[-1])
        else:
            way = "client" if way == "job" else way
            victims = [self.process.pid, *(below(self.process.pid) if way == "everything" else ())]
            chance.shuffle(victims)
            for victim in victims:
                _kill(victim)
        self.finish()
        return way

    def finish(self) -> int:
        """Wait for its end and for all that it said; return the exit code."""
        self.process.wait(timeout=_END_S)
        for reader in self._readers:
            reader.join()
        return self.process.returncode

    def close(self) -> None:
        """Leave nothing behind when the whole is stopped."""
        if self.process.poll() is None:
            for victim in (self.process.pid, *below(self.process.pid)):
                _kill(victim)
            self.finish()

    def named(self, event: str) -> list[Mapping[str, Any]]:
        """Return all events of a name."""
        return [found for _, found in self.events if found["event"] == event]

    def doing(self) -> str:
        """Return the stage that it was in at last: one that began and was not published, or what it did around them."""
        begun = [event["stage"] for event in self.named("stage.started")]
        ended = {event["stage"] for event in self.named("artifact.published")}
        if at_work := [stage for stage in begun if stage not in ended]:
            return str(at_work[-1])
        return "start" if not ended else "between stages"

    def last_published(self) -> float:
        """Return when it last published something, in seconds since its start; 0 if it did not."""
        return max((when for when, event in self.events if event["event"] == "artifact.published"), default=0.0)

    def first_step(self, stage: str) -> int | None:
        """Return the first step of a training that it told of; None when it told of none."""
        names = ("base.step", "train.step")
        told = [event for _, event in self.events if event["event"] in names and event["stage"] == stage]
        return int(told[0]["done"]) if told else None


def _kill(number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, signal.SIGKILL)
