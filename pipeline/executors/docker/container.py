"""The life of one container: created, listened to, started, waited for, and removed on every path."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from docker.errors import DockerException
from requests import RequestException

from pipeline.engine.faults import engine_errors, unreachable
from pipeline.errors import ExecutorError
from pipeline.executors.docker.engine import Engine
from pipeline.executors.docker.streaming import Frame, Reader
from pipeline.executors.events import JobOutput
from pipeline.executors.patience import POLL_S, Patience

_LAST_LINES_S = 5.0
"""Longest wait for the stream's end after a container was killed."""


@dataclass(frozen=True)
class Container:
    """A container on an engine."""

    engine: Engine
    identity: str

    def state(self) -> Mapping[str, Any]:
        """Return its state: `Running`, `ExitCode`, `OOMKilled` and others."""
        with engine_errors(self.engine.url):
            found: Mapping[str, Any] = self.engine.api.inspect_container(self.identity)["State"]
        return found


@contextlib.contextmanager
def created(engine: Engine, body: Mapping[str, Any]) -> Iterator[Container]:
    """Yield a container that is there and not started; it is gone afterwards, whatever happened."""
    with engine_errors(engine.url, str(body["Image"])):
        identity = engine.api.create_container_from_config(body)["Id"]
    try:
        yield Container(engine, identity)
    finally:
        with contextlib.suppress(DockerException, RequestException):  # what cannot go now, the next run finds
            engine.api.remove_container(identity, force=True, v=True)


def run(container: Container, output: JobOutput, patience: Patience) -> Mapping[str, Any]:
    """Start a container and return its last state. All its lines have gone to `output` by then.

    Raises what `patience` raises; the container is dead then. It is listened to before it starts, because a
    container that is quick has said everything before a later listener comes.
    """
    engine, identity = container.engine, container.identity
    with engine_errors(engine.url):
        frames = engine.api.attach(identity, stdout=True, stderr=True, stream=True, demux=True)
    reader = Reader(frames, output)
    try:
        with engine_errors(engine.url):
            engine.api.start(identity)
        reader.start()
        while reader.is_alive():
            reader.join(timeout=POLL_S)
            patience.check()
        return _last_state(container, reader, patience)
    finally:
        _end(container, reader, frames)


def _last_state(container: Container, reader: Reader, patience: Patience) -> Mapping[str, Any]:
    """Wait for the end of a container whose output has ended."""
    delay = 0.002  # it is nearly always over by now
    while (state := container.state())["Running"]:
        patience.check()
        time.sleep(delay)
        delay = min(POLL_S, delay * 2)
    if reader.lost is not None:
        raise unreachable(reader.lost, container.engine.url)
    return state


def _end(container: Container, reader: Reader, frames: Iterable[Frame]) -> None:
    """Leave nothing running and nobody listening."""
    if reader.is_alive():
        with contextlib.suppress(DockerException, RequestException):
            container.engine.api.kill(container.identity)
        reader.join(timeout=_LAST_LINES_S)
    with contextlib.suppress(OSError, DockerException, RequestException):
        frames.close()  # type: ignore[attr-defined]  # the SDK's stream


def refuse_missing_gpus(container: Container, gpus: tuple[str, ...]) -> None:
    """Raise ExecutorError when an engine took a request for GPUs and forgot it, as Podman's old API does."""
    if not gpus:
        return
    with engine_errors(container.engine.url):
        kept = container.engine.api.inspect_container(container.identity)["HostConfig"].get("DeviceRequests")
    if not kept:
        advice = "use an engine that gives GPUs by device request (Docker with the NVIDIA Container Toolkit)"
        raise ExecutorError("the engine ignores requests for a GPU", where=container.engine.url, advice=advice)
