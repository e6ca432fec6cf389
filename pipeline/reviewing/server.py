"""The page over HTTP: on loopback only, under a secret path, for one person's browser.

What could reach it all the same is refused: another page in the same browser (its `Origin`), a name that was bound to
127.0.0.1 (the `Host` header), another user of the machine (the secret path). Answers may not be framed, cached or
guessed to be something else, and the page may load nothing but its own two files.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from pipeline.errors import PipelineError, UsageError
from pipeline.reviewing.review import MOST_ROWS, Review
from pipeline.reviewing.rows import Wanted

ADDRESS: Final = "127.0.0.1"
_NAMES: Final = ("127.0.0.1", "localhost")
"""Host names by which a browser may call: a port forwarded by SSH keeps one of them."""
_FOLDER: Final = Path(__file__).parent
_PAGES: Final = {
    "": ("page.html", "text/html; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
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
_TIMEOUT_S: Final = 30


class _RequestError(Exception):
    """A request that is not answered, with its status."""

    def __init__(self, status: HTTPStatus, what: str) -> None:
        super().__init__(what)
        self.status = status


class ReviewServer(ThreadingHTTPServer):
    """Serves one review until it is shut down."""

    daemon_threads = True

    def __init__(self, review: Review, port: int) -> None:
        """Bind to a port of loopback; 0 takes a free one. Raises UsageError when the port is taken."""
        self.review = review
        self.secret = secrets.token_urlsafe(16)
        try:
            super().__init__((ADDRESS, port), _Handler)
        except OSError as error:
            message = f"port {port} cannot be used: {error.strerror}"
            raise UsageError(message, where=f"{ADDRESS}:{port}", advice="name another --port, or none") from error

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://{ADDRESS}:{self.server_address[1]}/{self.secret}/"


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer
    protocol_version = "HTTP/1.1"
    server_version = "review"
    sys_version = ""
    timeout = _TIMEOUT_S

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Say nothing: the terminal is the person's."""

    def do_GET(self) -> None:
        """Answer with the page, its files, or rows."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """Take an overrule."""
        self._answer(self._post)

    def _answer(self, work: Callable[[str, dict[str, str]], tuple[bytes, str]]) -> None:
        """Check who asks, do the work, and answer; a mistake is answered in words."""
        status = HTTPStatus.OK
        try:
            name, query = self._checked()
            body, kind = work(name, query)
        except _RequestError as error:
            status, (body, kind) = error.status, _json({"error": str(error)})
        except PipelineError as error:
            status, (body, kind) = HTTPStatus.CONFLICT, _json({"error": str(error)})
        except OSError as error:
            told = {"error": f"the rows cannot be read any more: {error.strerror}; start `review` again"}
            status, (body, kind) = HTTPStatus.INTERNAL_SERVER_ERROR, _json(told)
        self.send_response(status)
        if status != HTTPStatus.OK:
            self.send_header("Connection", "close")  # a body that was not read would be taken for the next request
        for header, value in {**_HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(body)

    def _checked(self) -> tuple[str, dict[str, str]]:
        """Return what is asked for below the secret path, and the query. Raises _RequestError for a stranger."""
        host = self.headers.get("Host", "")
        if host.rpartition(":")[0] not in _NAMES and host not in _NAMES:
            raise _RequestError(HTTPStatus.FORBIDDEN, "this page is served to this machine only")
        origin = self.headers.get("Origin")
        if (origin is not None and origin != f"http://{host}") or (origin is None and self.command == "POST"):
            raise _RequestError(HTTPStatus.FORBIDDEN, "another page may not ask this one")
        parts = urlsplit(self.path)
        _, _, rest = parts.path.partition("/")
        secret, _, name = rest.partition("/")
        if not hmac.compare_digest(secret.encode(), self.server.secret.encode()):
            raise _RequestError(HTTPStatus.NOT_FOUND, "the address is the one that `review` printed, whole")
        return name, {key: values[-1] for key, values in parse_qs(parts.query).items()}

    def _get(self, name: str, query: dict[str, str]) -> tuple[bytes, str]:
        if name in _PAGES:
            file, kind = _PAGES[name]
            return (_FOLDER / file).read_bytes(), kind
        review = self.server.review
        if name == "summary":
            return _json(review.summary())
        if name == "sample":
            return _json(review.sample(_number(query, "seed", review.subject.seed)))
        if name == "rows":
            kinds = tuple(kind for kind in query.get("kinds", "").split(",") if kind)
            offset, limit = _number(query, "offset", 0), _number(query, "limit", MOST_ROWS)
            return _json(review.page(Wanted(kinds, query.get("text", "")), offset, limit))
        raise _RequestError(HTTPStatus.NOT_FOUND, "there is nothing of this name")

    def _post(self, name: str, _: dict[str, str]) -> tuple[bytes, str]:
        if name != "overrule":
            raise _RequestError(HTTPStatus.NOT_FOUND, "there is nothing of this name")
        if self.headers.get_content_type() != "application/json":
            raise _RequestError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "an overrule is sent as application/json")
        told = self._body()
        if type(told) is not dict:
            raise _RequestError(HTTPStatus.BAD_REQUEST, "an overrule is a JSON object")
        row, overruled, reason = told.get("n"), told.get("overruled"), told.get("reason", "")
        if type(row) is not int or type(overruled) is not bool or type(reason) is not str:
            raise _RequestError(HTTPStatus.BAD_REQUEST, "an overrule names the row `n`, `overruled` and a `reason`")
        return _json(self.server.review.decide(row, overruled=overruled, reason=reason))

    def _body(self) -> Any:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _MAX_BODY_BYTES:
            raise _RequestError(HTTPStatus.BAD_REQUEST, "an overrule says its length, and is short")
        try:
            return json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as error:
            raise _RequestError(HTTPStatus.BAD_REQUEST, "an overrule is a JSON object") from error


def _json(value: Any) -> tuple[bytes, str]:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"), "application/json; charset=utf-8"


def _number(query: dict[str, str], name: str, default: int) -> int:
    """Return a whole number of the query. Raises _RequestError for anything else, or one that no row can have."""
    text = query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdecimal() or len(text) > 15:  # noqa: PLR2004 - what a browser counts exactly
        raise _RequestError(HTTPStatus.BAD_REQUEST, f"`{name}` must be a whole number")
    return int(text)
