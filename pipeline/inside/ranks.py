"""The processes of one training: started, listened to and ended together. Standard library only.

The job's own process leads and does not train. It starts one process for each rank, with the variables that `torchrun`
would set, hands on what rank 0 reports, and ends all of them when one fails. A rank dies with its leader.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .job import FAILED_EXIT_CODE, JobError
from .loopback import INTERFACE

PACKAGE = Path(__file__).resolve().parent
LEADER, STORE = "RANKS_LEADER", "RANKS_STORE"
"""Variables: the number of the leading process, and the file through which ranks find each other."""

_POLL_S = 0.05
_LAST_WORDS_S = 2.0
"""How long the others may still end by themselves after one has failed: each says why."""
_GRACE_S = 5.0
"""Seconds between asking a rank to stop and killing it."""
_TAIL_LINES = 40
_OWN = frozenset({"job.done", "job.failed"})
"""Events that end a job: its leader sends them."""


class Rank:
    """One process of a training, and the thread that listens to it."""

    def __init__(self, number: int, request: Path, variables: Mapping[str, str]) -> None:
        self.number = number
        self.failure: dict[str, Any] | None = None
        self.ended_at: float | None = None
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self.process = subprocess.Popen(
            [sys.executable, "-B", "-m", PACKAGE.name, str(request)],
            cwd=PACKAGE.parent,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        """Hand on what rank 0 says; of the others, keep the last lines."""
        assert self.process.stdout is not None  # noqa: S101 - a pipe, as asked above
        for line in self.process.stdout:
            event = _event(line)
            if event.get("event") == "job.failed":
                self.failure = event
            if event.get("event") in _OWN:
                continue
            if self.number == 0:
                _write(line)
            elif not event:
                self.tail.append(line.decode(errors="replace"))
        self.ended_at = time.monotonic()

    @property
    def code(self) -> int | None:
        """The exit code, once the process has ended and everything that it said was heard."""
        return None if self._listener.is_alive() else self.process.wait()

    def end(self) -> None:
        """End the process, if it runs still."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=_GRACE_S)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def run(requests: Sequence[Path], store: Path) -> None:
    """Run one rank for each request file, to their end. `store` is a path at which nothing lies yet.

    Raises `JobError` as soon as one fails; no rank is left then.
    """
    ranks: list[Rank] = []
    try:
        for number, request in enumerate(requests):
            ranks.append(Rank(number, request, variables(number, len(requests), store)))
        _wait(ranks)
    finally:
        _end(ranks)


def variables(number: int, count: int, store: Path, given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of one rank: its leader's, and who it is. Only rank 0 is watched by trackers."""
    named = {name: value for name, value in given.items() if number == 0 or not name.startswith("TRACKERS")}
    return {
        **named,
        "RANK": str(number),
        "LOCAL_RANK": str(number),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "GLOO_SOCKET_IFNAME": INTERFACE,
        "NCCL_SOCKET_IFNAME": INTERFACE,
        LEADER: str(os.getpid()),
        STORE: str(store),
    }


def leave_without_leader(given: Mapping[str, str] = os.environ) -> None:
    """End this rank if its leader died before the kernel was asked to let it die with its leader."""
    if os.getppid() != int(given[LEADER]):
        os._exit(1)


def _wait(ranks: Sequence[Rank]) -> None:
    """Wait until all have ended well. Raises `JobError` for the first that did not."""
    while any(rank.code is None for rank in ranks):
        if any(rank.code for rank in ranks):
            break
        time.sleep(_POLL_S)
    deadline = time.monotonic() + _LAST_WORDS_S
    while any(rank.code for rank in ranks) and any(rank.code is None for rank in ranks):
        if time.monotonic() > deadline:
            break
        time.sleep(_POLL_S)
    if failed := [rank for rank in ranks if rank.code]:
        raise _error(min(failed, key=lambda rank: rank.ended_at or 0.0), len(ranks))


def _error(rank: Rank, count: int) -> JobError:
    """Return what to tell of a rank that failed."""
    if rank.failure is not None and rank.code == FAILED_EXIT_CODE:
        what, where, advice = (str(rank.failure.get(name) or "") for name in ("what", "where", "advice"))
        return JobError(what, where=where, advice=advice)
    for line in rank.tail:
        _write(line.encode())
    who = f"Process {rank.number} of the {count} that train together"
    if rank.code is not None and rank.code < 0:
        return JobError(
            f"{who} was killed (signal {-rank.code}), most likely for lack of memory.",
            where=f"rank {rank.number}",
            advice="Free memory, or lower train.processes or train.batch_size; then run again: it goes on from its"
            " last checkpoint.",
        )
    return JobError(
        f"{who} crashed (exit code {rank.code}).",
        where=f"rank {rank.number}; its last lines stand above this error in the log of the run",
        advice="The last of these lines names the cause.",
    )


def _end(ranks: Sequence[Rank]) -> None:
    """Leave no rank behind: ask all of them first, so that they end at the same time."""
    for rank in ranks:
        if rank.process.poll() is None:
            rank.process.terminate()
    for rank in ranks:
        rank.end()


def _event(line: bytes) -> dict[str, Any]:
    """Return a line's event; an empty one where it is text."""
    if not line.startswith(b'{"event":'):
        return {}
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _write(line: bytes) -> None:
    os.write(2, line)
