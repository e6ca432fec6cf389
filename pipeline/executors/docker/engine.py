"""A connection to one container engine, made on first use and kept for the run."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import docker
from docker.errors import ImageNotFound
from pydantic import ValidationError

from pipeline.errors import EngineError, ImageError
from pipeline.executors.docker.faults import engine_errors
from pipeline.executors.docker.owner import reap
from pipeline.executors.docker.tunnel import Tunnel
from pipeline.images.lock import LockedImage
from pipeline.settings import Host

MINIMUM_API = (1, 40)
"""Docker 19.03, the first that gives GPUs by device request."""

DEFAULT_SOCKET = "unix:///var/run/docker.sock"
_FORMS = "unix:///path, ssh://user@host or tcp://host:port; or unset DOCKER_HOST"
_ANSWER_S = 300
"""Longest wait for an answer: an engine that unpacks gigabytes on a busy disk says nothing for a minute. Streams of
output and `wait` are not bound by it."""


def default_host() -> Host:
    """Return the engine that images without an entry in `hosts` run on: DOCKER_HOST, else the local socket."""
    url = os.environ.get("DOCKER_HOST") or DEFAULT_SOCKET
    try:
        return Host(url=url)
    except ValidationError as error:
        message = f"DOCKER_HOST is {url!r}, which is no address of a container engine"
        raise EngineError(message, where="DOCKER_HOST", advice=_FORMS) from error


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
        with engine_errors(self.url, image.id):
            try:
                identity, found = image.id, self.api.inspect_image(image.id)
            except ImageNotFound:
                if not image.manifest:
                    raise
                identity, found = image.manifest, self.api.inspect_image(image.manifest)
        if _digest(found["Id"]) != _digest(identity):
            message = f"the engine answers to {identity} with another image, {found['Id']}"
            raise ImageError(message, where=self.url, advice="run `nox -s images`")
        return replace(image, id=identity)


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
        with engine_errors(host.url):
            reaped = reap(api)
            memory = int(api.info()["MemTotal"])
        if reaped:
            self._emit("engine.reaped", host=host.url, containers=reaped)
        return Engine(host.url, api, memory, shares_files)


class _Client(docker.APIClient):  # type: ignore[misc]  # published without types
    """The SDK's client, which takes nothing from the environment.

    Where REQUESTS_CA_BUNDLE is set, requests trusts that bundle in place of the authority that the run settings name,
    and it would send what is meant for an engine through a proxy.
    """

    @property
    def trust_env(self) -> bool:
        """What requests asks before it looks at the environment."""
        return False

    @trust_env.setter
    def trust_env(self, _: bool) -> None:
        """Every session of requests begins by setting it."""


def connect(host: Host) -> Any:
    """Return the SDK's client for a host. Raises EngineError when it is not there, refuses us or is too old."""
    with engine_errors(host.url):
        url = Tunnel(host.url).url if host.url.startswith("ssh://") else host.url
        try:
            api = _Client(base_url=url, version="auto", timeout=_ANSWER_S, tls=_tls(host))
        except ValueError as error:
            raise EngineError(f"no address of a container engine: {error}", where=url, advice=_FORMS) from error
    if tuple(int(part) for part in api.api_version.split(".")) < MINIMUM_API:
        message = f"the container engine is too old: its API is {api.api_version}"
        advice = f"update it to Docker 19.03 or newer (API {'.'.join(map(str, MINIMUM_API))})"
        raise EngineError(message, where=host.url, advice=advice)
    return api


def _tls(host: Host) -> Any:
    if host.ca is None:
        return False
    return docker.tls.TLSConfig(client_cert=(host.certificate, host.key), ca_cert=host.ca, verify=True)
