"""HTTP to a registry and to its token server: answers within a bound, and nothing for this machine through a proxy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from pipeline.errors import PublishError
from pipeline.loopback import is_loopback
from pipeline.publishing.items import CHUNK

_TIMEOUT = httpx.Timeout(60.0, connect=15.0, write=600.0, read=600.0)
_MOST_ANSWER = 4 * 1024 * 1024
"""Registries take no larger manifests."""
ODD = (httpx.HTTPError, httpx.InvalidURL, ValueError)
"""What the client raises: for what went wrong on the way, and for answers and addresses that are of no form."""


@dataclass(frozen=True)
class Answer:
    """What a server answered, its body read whole."""

    status: int
    headers: httpx.Headers
    body: bytes
    url: str

    @property
    def digest(self) -> str:
        """The digest that a registry tells."""
        return str(self.headers.get("Docker-Content-Digest", ""))


class Connections:
    """Sends requests, and follows no redirect. `where` is for messages.

    The proxy that the environment names is for other machines: a login for this one travels in clear, and a proxy
    would read it.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._clients: dict[bool, httpx.Client] = {}

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            client.close()

    def ask(self, method: str, url: str, headers: Mapping[str, str], **body: Any) -> Answer:
        """Send one request. Raises what ODD holds, and PublishError for an answer without an end."""
        with self._client(url).stream(method, url, headers=dict(headers), **body) as response:
            return Answer(response.status_code, response.headers, self._read(response), url)

    def _client(self, url: str) -> httpx.Client:
        loopback = is_loopback(host_of(url))
        if loopback not in self._clients:
            self._clients[loopback] = httpx.Client(timeout=_TIMEOUT, follow_redirects=False, trust_env=not loopback)
        return self._clients[loopback]

    def _read(self, response: httpx.Response) -> bytes:
        found = b""
        for part in response.iter_bytes(CHUNK):
            found += part
            if len(found) > _MOST_ANSWER:
                message = "the registry's answer has no end"
                raise PublishError(message, where=self._where, advice="check the target, and proxies before it")
        return found


def host_of(url: str) -> str:
    """Return an address's host with its port. Raises ValueError for what is no address."""
    return urlsplit(url).netloc.rpartition("@")[2]


def is_private(url: str) -> bool:
    """Tell whether nobody on the way reads what is sent to an address: by TLS, or because it is this machine."""
    try:
        scheme, host = urlsplit(url).scheme, host_of(url)
    except ValueError:
        return False
    return bool(host) and (scheme == "https" or (scheme == "http" and is_loopback(host)))
