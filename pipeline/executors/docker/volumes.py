"""How files get into a container and back where the engine does not see this machine's folders.

One volume holds what a job is given and is read-only for it, others hold what it makes and its caches. They are filled
and read through the engine's archive calls; a container without a network hashes what arrived, on the engine's side.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Self

from docker.errors import DockerException
from requests import RequestException

from pipeline.engine.faults import engine_errors
from pipeline.errors import EngineError
from pipeline.executors.contract import Request
from pipeline.executors.docker import specification
from pipeline.executors.docker.archive import Entry, compare, pack, unpack
from pipeline.executors.docker.container import created, run
from pipeline.executors.docker.engine import Engine
from pipeline.executors.docker.owner import labels
from pipeline.executors.docker.specification import GIVEN, HOME, MADE, Limits, Mount, interpreter, job_user
from pipeline.executors.events import JobOutput
from pipeline.executors.patience import Patience
from pipeline.files import explained
from pipeline.images.lock import LockedImage

_HASHES = """
import hashlib, json, os, sys
found = {}
for root in sys.argv[1:]:
    for parent, _, names in os.walk(root):
        for name in names:
            path = os.path.join(parent, name)
            with open(path, "rb") as stream:
                found[path] = hashlib.file_digest(stream, "sha256").hexdigest()
for path in sorted(found):
    print(json.dumps({"event": "file", "path": path, "sha256": found[path]}))
"""
"""Run in the image on the engine's side. A line for each file, as an event."""


class Volumes:
    """The files of one job on an engine elsewhere."""

    def __init__(self, request: Request, engine: Engine, image: LockedImage, limits: Limits) -> None:
        self._request = request
        self._engine = engine
        self._image = image
        self._limits = limits
        self._labels = labels(request.run, request.stage)
        self._made = contextlib.ExitStack()
        self._names: dict[PurePosixPath, str] = {}

    def __enter__(self) -> Self:
        """Send everything. Raises EngineError when what arrived is not what was sent; nothing is left then."""
        with contextlib.ExitStack() as stack:
            self._names = {folder: stack.enter_context(self._volume()) for folder in (GIVEN, MADE, HOME)}
            self._send()
            self._made = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Bring back what an interrupted job can go on from, then remove the volumes."""
        with self._made, contextlib.suppress(EngineError):  # an engine that was lost: the job says so itself
            self._fetch("scratch", self._request.scratch)

    def mounts(self) -> list[Mount]:
        """Return the mounts of the job."""
        return self._mounts(given_writable=False)

    def collect(self) -> None:
        """Bring the output back. Raises EngineError when it is not what the engine has."""
        self._fetch("output", self._request.work / "output")

    def _mounts(self, *, given_writable: bool) -> list[Mount]:
        return [
            {
                "Type": "volume",
                "Source": name,
                "Target": str(folder),
                "ReadOnly": folder == GIVEN and not given_writable,
            }
            for folder, name in self._names.items()
        ]

    @contextlib.contextmanager
    def _volume(self) -> Iterator[str]:
        with engine_errors(self._engine.url):
            name = str(self._engine.api.create_volume(labels=self._labels)["Name"])
        try:
            yield name
        finally:
            with contextlib.suppress(DockerException, RequestException):  # what cannot go now, the next run finds
                self._engine.api.remove_volume(name, force=True)

    def _send(self) -> None:
        digests: dict[str, str] = {}
        with self._carrier() as identity, explained(self._request.work), engine_errors(self._engine.url):
            self._engine.api.put_archive(identity, "/", pack(entries(self._request), digests))
        sent = {f"/{path}": digest for path, digest in digests.items()}
        compare(sent, self._hashes(GIVEN, MADE), self._engine.url)

    def _fetch(self, name: str, folder: Path) -> None:
        remote = MADE / name
        with self._carrier() as identity, engine_errors(self._engine.url):
            pieces, _ = self._engine.api.get_archive(identity, str(remote))
            found = unpack(pieces, folder)
        arrived = {str(remote / path): digest for path, digest in found.items()}
        compare(arrived, self._hashes(remote), self._engine.url)

    @contextlib.contextmanager
    def _carrier(self) -> Iterator[str]:
        """Yield a container that is never started: archive calls reach volumes only through one."""
        body = self._body(["/bin/true"], self._mounts(given_writable=True))
        body["HostConfig"]["ReadonlyRootfs"] = False
        with created(self._engine, body) as container:
            yield container.identity

    def _hashes(self, *roots: PurePosixPath) -> dict[str, str]:
        """Return the sha256 of every file below some folders, computed on the engine's side."""
        found: dict[str, str] = {}

        def take(event: str, **data: Any) -> None:
            if event == "file":
                found[data["path"]] = data["sha256"]

        stage = self._request.stage
        output = JobOutput(stage, take)
        command = [str(interpreter(self._image)), "-I", "-c", _HASHES, *map(str, roots)]
        with created(self._engine, self._body(command, self.mounts())) as container:
            state = run(container, output, Patience(stage, threading.Event(), None))
        output.judge(int(state["ExitCode"]))
        return found

    def _body(self, command: Sequence[str], mounts: Sequence[Mount]) -> dict[str, Any]:
        limits = Limits(self._limits.memory_bytes, self._limits.pids)
        body = specification.container(self._image, command, mounts, limits, variables={}, labels=self._labels)
        return {**body, "WorkingDir": "/"}


def entries(request: Request) -> Iterator[Entry]:
    """Yield what a job finds below `/job` and `/work`: folders first, then files."""
    user = job_user()
    given, made = GIVEN.relative_to("/"), MADE.relative_to("/")
    yield from (Entry(folder) for folder in (given / "code", given / "inputs"))
    yield Entry(given / "request.json", request.work / "request.json")
    yield from _folder(request.work / "code", given / "code")
    for name, folder in request.folders.items():
        yield from _folder(folder, given / "inputs" / name)
    for name, files in request.inputs.items():
        yield Entry(given / "inputs" / name)
        yield from (Entry(given / "inputs" / name / path, file) for path, file in files.items())
    yield Entry(HOME.relative_to("/"), user=user)
    yield Entry(made / "output", user=user)
    yield from _folder(request.scratch, made / "scratch", user)


def _folder(folder: Path, target: PurePosixPath, user: tuple[int, int] = (0, 0)) -> Iterator[Entry]:
    yield Entry(target, user=user)
    for path in sorted(folder.rglob("*")):
        yield Entry(target / path.relative_to(folder).as_posix(), None if path.is_dir() else path, user)
