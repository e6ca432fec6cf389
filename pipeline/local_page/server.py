"""A page over HTTP: on loopback, under a secret path, for the browsers of the people at this machine.

What could reach it all the same is refused: another page in the same browser (its `Origin`), a name that was bound to
127.0.0.1 (the `Host` header), another user of the machine (the secret path). Answers may not be framed, cached or
guessed to be something else, and the page may load nothing but its own files.
"""

from __future__ import annotations

import errno
import hmac
import json
import secrets
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs, urlsplit

from pipeline.errors import PipelineError, UsageError

ADDRESS: Final = "127.0.0.1"
_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
"""Host names by which a browser may call: a port forwarded by SSH keeps one of them."""
_KINDS: Final = {
    "page.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
}
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_MAX_BODY_BYTES: Final = 64 * 1024
_MAX_LENGTH_DIGITS: Final = 9
"""Python reads no number of thousands of digits."""
_TIMEOUT_S: Final = 30


class RequestError(Exception):
    """A request that is not answered, with its status and the reason in words."""

    def __init__(self, status: HTTPStatus, what: str) -> None:
        super().__init__(what)
        self.status = status


def nothing() -> RequestError:
    """Return the answer to a name that there is not."""
    return RequestError(HTTPStatus.NOT_FOUND, "there is nothing of this name")


@dataclass(frozen=True)
class Request:
    """What is asked for below the secret path; a name that was sent twice counts as last sent."""

    name: str
    query: Mapping[str, str]
    headers: Message[str, str]

    def number(self, name: str, default: int) -> int:
        """Return a whole number of the query. Raises RequestError for anything else, or one that nothing can have."""
        text = self.query.get(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdecimal() or len(text) > 15:  # noqa: PLR2004 - what a browser counts exactly
            raise RequestError(HTTPStatus.BAD_REQUEST, f"`{name}` must be a whole number")
        return int(text)


class LocalPageServer(ThreadingHTTPServer):
    """Serves one page (`page.html`, `page.css`, `page.js` of a folder) and what it asks for, until it is shut down.

    A subclass says what `get` and `post` answer, as JSON; they are called from several threads.
    """

    daemon_threads = True
    folder: ClassVar[Path]
    command: ClassVar[str]
    """The command that a person started, for messages."""
    sent: ClassVar[str]
    """What a POST of the page carries, for messages."""
    shown: ClassVar[str]
    """What the page shows, for messages."""

    def __init__(self, port: int, address: str = ADDRESS) -> None:
        """Bind to a port; 0 takes a free one. Raises UsageError when that cannot be."""
        self.secret = secrets.token_urlsafe(16)
        self._host = f"[{address}]" if ":" in address else address
        self.names = (*_NAMES, self._host)
        if ":" in address:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((address, port), _Handler)
        except OSError as error:
            raise self._unusable(port, error) from error

    def _unusable(self, port: int, error: OSError) -> UsageError:
        where = f"{self._host}:{port}"
        if error.errno == errno.EADDRNOTAVAIL:
            advice = "name an address that `ip address` shows here with --host, or none"
            return UsageError(f"{self._host} is no address of this machine", where=where, advice=advice)
        return UsageError(
            f"port {port} cannot be used: {error.strerror}", where=where, advice="name another --port, or none"
        )

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://{self._host}:{self.server_address[1]}/{self.secret}/"

    def get(self, request: Request) -> Any:
        """Return what the page asks for. Raises RequestError, PipelineError."""
        raise NotImplementedError

    def post(self, request: Request, told: Mapping[str, Any]) -> Any:
        """Do what the page tells, and return the answer. Raises RequestError, PipelineError."""
        raise NotImplementedError

    def failed(self, error: PipelineError) -> None:
        """Hear of an error that the page was told of."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that has gone before its answer came; anything else is a fault of ours."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: LocalPageServer
    protocol_version = "HTTP/1.1"
    server_version = "page"
    sys_version = ""
    timeout = _TIMEOUT_S

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Say nothing: the terminal is the person's."""

    def do_GET(self) -> None:
        """Answer with the page, its files, or data."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """Take what a person decided."""
        self._answer(self._post)

    def _answer(self, work: Callable[[Request], tuple[bytes, str]]) -> None:
        """Check who asks, do the work, and answer; a mistake is answered in words."""
        status = HTTPStatus.OK
        try:
            body, kind = work(self._checked())
        except RequestError as error:
            status, (body, kind) = error.status, _json({"error": str(error)})
        except PipelineError as error:
            status, (body, kind) = HTTPStatus.CONFLICT, _json({"error": str(error)})
            self.server.failed(error)
        except OSError as error:
            what = f"{self.server.shown} cannot be read any more: {error.strerror}; start `{self.server.command}` again"
            told = {"error": what}
            status, (body, kind) = HTTPStatus.INTERNAL_SERVER_ERROR, _json(told)
        self.send_response(status)
        if status != HTTPStatus.OK:
            self.send_header("Connection", "close")  # a body that was not read would be taken for the next request
        for header, value in {**_HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(body)

    def _checked(self) -> Request:
        """Return what is asked for. Raises RequestError for a stranger."""
        host = self.headers.get("Host", "")
        if host.rpartition(":")[0] not in self.server.names and host not in self.server.names:
            raise RequestError(HTTPStatus.FORBIDDEN, "this page is served to this machine only")
        origin = self.headers.get("Origin")
        if (origin is not None and origin != f"http://{host}") or (origin is None and self.command == "POST"):
            raise RequestError(HTTPStatus.FORBIDDEN, "another page may not ask this one")
        try:
            parts = urlsplit(self.path)
        except ValueError as error:
            raise nothing() from error
        _, _, rest = parts.path.partition("/")
        secret, _, name = rest.partition("/")
        if not hmac.compare_digest(secret.encode(), self.server.secret.encode()):
            told = f"the address is the one that `{self.server.command}` printed, whole"
            raise RequestError(HTTPStatus.NOT_FOUND, told)
        return Request(name, {key: values[-1] for key, values in parse_qs(parts.query).items()}, self.headers)

    def _get(self, request: Request) -> tuple[bytes, str]:
        file = request.name or "page.html"
        if file in _KINDS and request.name != "page.html":
            return (self.server.folder / file).read_bytes(), _KINDS[file]
        return _json(self.server.get(request))

    def _post(self, request: Request) -> tuple[bytes, str]:
        if self.headers.get_content_type() != "application/json":
            what = f"{self.server.sent} is sent as application/json"
            raise RequestError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, what)
        told = self._body()
        if type(told) is not dict:
            raise RequestError(HTTPStatus.BAD_REQUEST, f"{self.server.sent} is a JSON object")
        return _json(self.server.post(request, told))

    def _body(self) -> Any:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or len(length) > _MAX_LENGTH_DIGITS or int(length) > _MAX_BODY_BYTES:
            raise RequestError(HTTPStatus.BAD_REQUEST, f"{self.server.sent} says its length, and is short")
        try:
            return json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as error:
            raise RequestError(HTTPStatus.BAD_REQUEST, f"{self.server.sent} is a JSON object") from error


def _json(value: Any) -> tuple[bytes, str]:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"), "application/json; charset=utf-8"
