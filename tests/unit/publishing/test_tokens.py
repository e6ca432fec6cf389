"""Registries that want a token of their own token server, as most public ones do."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.faulty_proxy import Fault, FaultyProxy
from tests.support.publishing import refused, run

BASIC = base64.b64encode(b"publisher:planted-0123").decode()
SCOPE = "repository:owner/seedling:pull,push"


class TokenServer:
    """Gives tokens, and takes down who asked; `answer` is what it gives."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, list[str]], str]] = []
        self.answer: tuple[int, bytes] = (200, b'{"token": "granted-4711"}')
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None: ...

            def do_GET(self) -> None:
                self._give(urlsplit(self.path).query)

            def do_POST(self) -> None:
                self._give(self.rfile.read(int(self.headers["Content-Length"])).decode())

            def _give(self, query: str) -> None:
                server.asked.append((self.command, parse_qs(query), self.headers.get("Authorization", "")))
                status, body = server.answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/token"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    """A token server on loopback."""
    server = TokenServer()
    yield server
    server.close()


def challenged(proxy: FaultyProxy, realm: str, times: int = 1) -> str:
    """Let the registry ask for a token; return the target."""
    header = ("WWW-Authenticate", f'Bearer realm="{realm}",service="registry.example",scope="{SCOPE}"')
    proxy.faults = [Fault("HEAD", "", times=times, status=401, header=header)]
    return f"oci://{proxy.host}/owner/seedling"


def keep(home: Path, host: str, **entry: str) -> None:
    """Log in, as Docker keeps it."""
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_text(json.dumps({"auths": {host: entry}}))


def test_a_token_for_a_login(registry: FaultyProxy, tokens: TokenServer, folder: Path, home: Path) -> None:
    """The login goes to the token server, the token to the registry."""
    keep(home, registry.host, auth=BASIC)
    run(folder, challenged(registry, tokens.url))
    asked = [("GET", {"service": ["registry.example"], "scope": [SCOPE]}, f"Basic {BASIC}")]
    assert tokens.asked == asked
    assert {one.headers.get("Authorization") for one in registry.asked[1:]} == {"Bearer granted-4711"}


def test_a_token_for_nobody(registry: FaultyProxy, tokens: TokenServer, folder: Path) -> None:
    """Public repositories are read without a login."""
    run(folder, challenged(registry, tokens.url), yes=False)
    assert tokens.asked[0][2] == ""


def test_a_token_for_a_refresh_token(registry: FaultyProxy, tokens: TokenServer, folder: Path, home: Path) -> None:
    """It travels in the body, not in an address."""
    tokens.answer = (200, b'{"access_token": "granted-4711"}')
    keep(home, registry.host, auth="", identitytoken="planted-refresh")
    run(folder, challenged(registry, tokens.url), yes=False)
    method, fields, header = tokens.asked[0]
    assert (method, header) == ("POST", "")
    assert (fields["grant_type"], fields["refresh_token"]) == (["refresh_token"], ["planted-refresh"])


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((401, b"planted-0123"), "does not take the login"),
        ((200, b"planted-0123"), "without a token"),
        ((200, b'{"token": 5}'), "without a token"),
        ((200, b'{"token": "line\\nbreak"}'), "without a token"),
    ],
)
def test_a_token_server_that_gives_none(
    registry: FaultyProxy, tokens: TokenServer, folder: Path, home: Path, answer: tuple[int, bytes], told: str
) -> None:
    """In words, without its own."""
    keep(home, registry.host, auth=BASIC)
    tokens.answer = answer
    error = refused(lambda: run(folder, challenged(registry, tokens.url)), told)
    assert "planted" not in str(error)


def test_a_token_that_is_not_taken(registry: FaultyProxy, tokens: TokenServer, folder: Path, home: Path) -> None:
    """It is asked for once for each request, not for ever."""
    keep(home, registry.host, auth=BASIC)
    refused(lambda: run(folder, challenged(registry, tokens.url, times=9)), "does not take the login")
    assert len(tokens.asked) == 1


def test_a_token_server_without_tls_gets_no_login(registry: FaultyProxy, folder: Path, home: Path) -> None:
    """A registry could name any."""
    keep(home, registry.host, auth=BASIC)
    refused(lambda: run(folder, challenged(registry, "http://tokens.example.org/token")), "without TLS")


@pytest.mark.parametrize("realm", ["http://[", "https://[", "https://host:port/", "", "token"])
def test_a_token_server_at_no_address(registry: FaultyProxy, folder: Path, home: Path, realm: str) -> None:
    """In words, and the login stays here."""
    keep(home, registry.host, auth=BASIC)
    error = refused(lambda: run(folder, challenged(registry, realm)))
    assert error.exit_code == 63


def test_a_token_server_without_an_end(
    registry: FaultyProxy, tokens: TokenServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more of an answer is read than a token can have."""
    tokens.answer = (200, b'{"token": "' + b"x" * 8_000_000 + b'"}')
    refused(lambda: run(folder, challenged(registry, tokens.url), yes=False), "has no end")
