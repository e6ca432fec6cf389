"""The engines of a run: each connected on first use and kept to its end."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from docker.errors import ImageNotFound

from pipeline.engine.connection import DEFAULT_SOCKET, connect, default_host
from pipeline.engine.faults import engine_errors, odd_answers
from pipeline.errors import EngineError, ImageError
from pipeline.executors.docker.owner import reap
from pipeline.images.lock import LockedImage
from pipeline.settings import Host


@dataclass(frozen=True)
class Engine:
    """An engine that answers. `shares_files` says that it sees this machine's folders."""

    url: str
    api: Any
    memory_bytes: int
    shares_files: bool

    def known(self, image: LockedImage) -> LockedImage:
        """Return an image with the digest that this engine calls it by. Raises ImageError unless it has this very one.

        Most engines go by the configuration's digest, one with containerd's image store by the manifest's.
        """
        with odd_answers(self.url), engine_errors(self.url, image.id):
            try:
                identity, found = image.id, self.api.inspect_image(image.id)
            except ImageNotFound:
                if not image.manifest:
                    raise
                identity, found = image.manifest, self.api.inspect_image(image.manifest)
            told = _digest(found["Id"])
        if told != _digest(identity):
            message = f"the engine answers to {identity} with another image, {told[:100]}"
            raise ImageError(message, where=self.url, advice="run `nox -s images`")
        return replace(image, id=identity)


_LIMITS = {"MemoryLimit": "memory", "PidsLimit": "processes"}
"""What an engine's `info` says it can limit → what of a job that is."""


def refuse_unfit(info: Mapping[str, Any], url: str, *, shares_files: bool) -> None:
    """Raise EngineError, by an engine's `info`, where it would take what keeps a job in and forget it with a warning.

    Without root Podman 4.3 says on cgroups v1 that it can limit, and does not. And a job's number is another one
    outside of a rootless engine: it could not write into a folder of this machine.
    """
    rootless = info.get("Rootless") is True or any("rootless" in option for option in info.get("SecurityOptions") or ())
    lacking = [what for name, what in _LIMITS.items() if info.get(name) is False]
    if rootless and str(info.get("CgroupVersion")) == "1":
        lacking = list(_LIMITS.values())
    if lacking:
        message = f"the engine cannot limit the {' and '.join(lacking)} of a job"
        advice = "use an engine that runs as root, on a kernel with the control groups `memory` and `pids`"
        raise EngineError(message, where=url, advice=advice)
    if rootless and shares_files:
        message = "the engine is rootless: a job there has another number here, and could not write its output"
        raise EngineError(message, where=url, advice="use an engine that runs as root; it never runs a job as root")


def _digest(identity: str) -> str:
    """Return an image's digest without its algorithm, which Podman leaves out."""
    return identity.removeprefix("sha256:")


class Engines:
    """Every engine of a run: connected once, cleaned once of what killed clients left behind."""

    def __init__(self, hosts: Mapping[str, Host], emit: Any) -> None:
        self._hosts = hosts
        self._emit = emit
        self._known: dict[str, Engine] = {}
        self._lock = threading.Lock()

    def of(self, image: str) -> Engine:
        """Return the engine that an image runs on. Raises EngineError."""
        host = self._hosts.get(image) or default_host()
        with self._lock:
            if host.url not in self._known:
                shares = host.url == DEFAULT_SOCKET or (image not in self._hosts and host.url.startswith("unix://"))
                self._known[host.url] = self._connected(host, shares_files=shares)
            return self._known[host.url]

    def _connected(self, host: Host, *, shares_files: bool) -> Engine:
        api = connect(host)
        with odd_answers(host.url), engine_errors(host.url):
            info = api.info()
            refuse_unfit(info, host.url, shares_files=shares_files)
            reaped = reap(api)
            memory_bytes = int(info["MemTotal"])
        if reaped:
            self._emit("engine.reaped", host=host.url, containers=reaped)
        return Engine(host.url, api, memory_bytes, shares_files)
