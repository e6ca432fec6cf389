"""A connection to a container engine: a socket of this machine, SSH, or TCP with TLS."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import docker
from pydantic import ValidationError

from pipeline.engine.faults import engine_errors, odd_answers
from pipeline.engine.tunnel import Tunnel
from pipeline.errors import EngineError
from pipeline.settings import Host

MINIMUM_API = (1, 40)
"""Docker 19.03, the first that gives GPUs by device request."""

DEFAULT_SOCKET = "unix:///var/run/docker.sock"
_FORMS = "unix:///path, ssh://user@host or tcp://host:port; or unset DOCKER_HOST"
ANSWER_S = 300.0
"""Longest wait for an answer: an engine that unpacks gigabytes on a busy disk says nothing for a minute. Streams of
output and `wait` are not bound by it."""


def default_host() -> Host:
    """Return the engine that is used where none is named: DOCKER_HOST, else the local socket.

    With DOCKER_TLS_VERIFY or DOCKER_CERT_PATH the certificates are those that the `docker` command would take.
    """
    url = os.environ.get("DOCKER_HOST") or DEFAULT_SOCKET
    try:
        return Host(url=url, **_certificates(url))
    except ValidationError as error:
        message = f"DOCKER_HOST is {url!r}, which is no address of a container engine"
        raise EngineError(message, where="DOCKER_HOST", advice=_FORMS) from error


def _certificates(url: str) -> dict[str, str]:
    folder = os.environ.get("DOCKER_CERT_PATH")
    if not url.startswith("tcp://") or not (folder or os.environ.get("DOCKER_TLS_VERIFY")):
        return {}
    place = Path(folder) if folder else Path.home() / ".docker"
    return {
        name: str(place / file) for name, file in (("ca", "ca.pem"), ("certificate", "cert.pem"), ("key", "key.pem"))
    }


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


def connect(host: Host, answer_s: float = ANSWER_S) -> Any:
    """Return the SDK's client for a host. Raises EngineError when it is not there, refuses us or is too old."""
    with engine_errors(host.url):
        url = Tunnel(host.url).url if host.url.startswith("ssh://") else host.url
        try:
            api = _Client(base_url=url, version="auto", timeout=answer_s, tls=_tls(host))
        except ValueError as error:
            raise EngineError(f"no address of a container engine: {error}", where=url, advice=_FORMS) from error
        except (TypeError, AttributeError, RecursionError) as error:
            message = f"what answers there is no container engine: its version has another form ({error})"
            raise EngineError(message, where=host.url, advice="check the address, and what listens there") from error
    with odd_answers(host.url):
        version = tuple(int(part) for part in api.api_version.split("."))
    if version < MINIMUM_API:
        message = f"the container engine is too old: its API is {api.api_version}"
        advice = f"update it to Docker 19.03 or newer (API {'.'.join(map(str, MINIMUM_API))})"
        raise EngineError(message, where=host.url, advice=advice)
    return api


def _tls(host: Host) -> Any:
    if host.ca is None:
        return False
    missing = [name for name in (host.ca, host.certificate, host.key) if name is None or not Path(name).is_file()]
    if missing:
        advice = "name ca, certificate and key in the run settings, or their folder in DOCKER_CERT_PATH"
        raise EngineError(f"there is no file {missing[0]}", where=f"TLS for {host.url}", advice=advice)
    return docker.tls.TLSConfig(client_cert=(host.certificate, host.key), ca_cert=host.ca, verify=True)
