"""How a registry is answered when it asks who is there: basic authentication, or a token of its own token server.

The registry names its token server, which may be any host: Docker Hub's is `auth.docker.io`. So a login goes there as
well, over TLS or on this machine.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

import httpx

from pipeline.errors import PublishError
from pipeline.publishing.oci.connections import ODD, Answer, Connections, is_private
from pipeline.publishing.oci.credentials import Login, find_login
from pipeline.publishing.oci.refusals import refused, unreachable
from pipeline.publishing.secret import Secret

_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_CLIENT = "fine-tune-pipeline"
_LOGIN = "log in with an account that may write there: docker login REGISTRY"


def origin(url: str) -> tuple[str, str]:
    """Return scheme and host with port: a header with a login goes to one origin only."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


class Authentication:
    """Finds the login when it is asked for, and keeps the header that the registry wants."""

    def __init__(self, host: str, base: str, connections: Connections, where: str) -> None:
        self._host = host
        self._origin = origin(base)
        self._connections = connections
        self._where = where
        self._header: Secret | None = None
        self._asked: set[str] = set()

    def header(self, url: str) -> dict[str, str]:
        """Return the header for an address: none for other hosts than the registry."""
        if self._header is None or origin(url) != self._origin:
            return {}
        return {"Authorization": self._header.reveal()}

    def answer(self, challenges: list[str]) -> None:
        """Take up a challenge. Raises PublishError where there is no login, or the token server refuses it."""
        login = find_login(self._host)
        for challenge in challenges:
            scheme, _, rest = challenge.partition(" ")
            parameters = dict(_PARAMETER.findall(rest))
            if scheme.lower() == "bearer" and "realm" in parameters:
                self._header = Secret("Bearer " + self._token(parameters, login))
                return
            if scheme.lower() == "basic" and login is not None and login.username:
                self._header = Secret(login.basic())
                return
        message = (
            "the registry asks for a login, and none is kept for it"
            if login is None
            else "the registry asks for a login of another kind"
        )
        raise PublishError(message, where=self._where, advice=_LOGIN)

    def _token(self, parameters: dict[str, str], login: Login | None) -> str:
        """Ask the registry's token server for a token."""
        realm = parameters["realm"]
        if not is_private(realm):
            message = "the registry's token server is reached without TLS, or is none: the login is not sent there"
            raise PublishError(message, where=self._where, advice="check the registry's settings")
        asked = ("service", "scope")
        query: dict[str, str] = {name: value for name, value in parameters.items() if name in asked}
        try:
            if login is not None and not login.username:
                data = {
                    **query,
                    "grant_type": "refresh_token",
                    "client_id": _CLIENT,
                    "refresh_token": login.secret.reveal(),
                }
                answer = self._connections.ask("POST", realm, {}, data=data)
            else:
                headers = {} if login is None else {"Authorization": login.basic()}
                answer = self._connections.ask("GET", realm, headers, params=query)
        except ODD as error:
            raise unreachable("anything", self._where, error) from None
        if answer.status != httpx.codes.OK:
            raise refused("anything", self._where, answer.status, answer.body)
        return self._read(answer)

    def _read(self, answer: Answer) -> str:
        found: Any = None
        try:
            found = json.loads(answer.body)
        except (ValueError, RecursionError):
            found = None
        told = (found.get("token") or found.get("access_token")) if isinstance(found, dict) else None
        if not isinstance(told, str) or not told.isascii() or not told.isprintable():
            message = "the registry's token server answered without a token"
            raise PublishError(message, where=self._where, advice=_LOGIN)
        return told
