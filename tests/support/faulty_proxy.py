"""A proxy on loopback before a real server, with the faults of a real network."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass
class Fault:
    """What happens to a request of this method whose path matches; `times` are used up, -1 are for ever.

    One of: `status` with `body` in place of the answer; `cut`, the bytes of the request's body after which the
    connection breaks; `flip`, a bit of the answer's body; `header`, one header of the answer; `then`, called
    after the answer was sent.
    """

    method: str
    path: str
    times: int = 1
    status: int | None = None
    body: bytes = b""
    cut: int | None = None
    flip: bool = False
    header: tuple[str, str] | None = None
    then: Callable[[], None] | None = None


@dataclass
class Asked:
    """One request as the server saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: int


@dataclass
class FaultyProxy:
    """Passes on to `127.0.0.1:port`, as a context manager."""

    port: int
    faults: list[Fault] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def host(self) -> str:
        """The address that clients are given, without a scheme."""
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        """The same with a scheme."""
        return f"http://{self.host}"

    def fault(self, method: str, path: str) -> Fault | None:
        """Return the next fault for a request, and use it up."""
        for fault in self.faults:
            if fault.times and fault.method == method and re.search(fault.path, path):
                fault.times -= 1
                return fault
        return None

    def sent(self, method: str, path: str = "") -> list[Asked]:
        """Return the requests of a method whose path matches."""
        return [one for one in self.asked if one.method == method and re.search(path, one.path)]


class _Handler(BaseHTTPRequestHandler):
    proxy: FaultyProxy
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None: ...

    def _pass_on(self) -> None:
        fault = self.proxy.fault(self.command, self.path)
        body = self._body(fault.cut if fault else None)
        self.proxy.asked.append(Asked(self.command, self.path, dict(self.headers), len(body or b"")))
        if body is None:
            self.close_connection = True
            self.connection.close()
        elif fault is not None and fault.status is not None:
            told = [("Content-Type", "application/xml"), *([fault.header] if fault.header else [])]
            self._answer(fault.status, told, fault.body)
        else:
            self._forward(body, fault)
        if fault is not None and fault.then is not None:
            fault.then()

    def __getattr__(self, name: str) -> Any:
        """Answer every method alike: the base class looks for `do_GET` and its kin."""
        if name.startswith("do_"):
            return self._pass_on
        raise AttributeError(name)

    def _body(self, cut: int | None) -> bytes | None:
        """Read the request's body; None where the connection is to break in it."""
        if cut is not None:
            self.rfile.read(cut)
            return None
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _forward(self, body: bytes, fault: Fault | None) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.port, timeout=30)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("transfer-encoding", "content-length")}
        connection.request(self.command, self.path, body or None, {**headers, "Content-Length": str(len(body))})
        answer = connection.getresponse()
        content = answer.read()
        if fault is not None and fault.flip and content:
            content = content[:-1] + bytes([content[-1] ^ 1])
        told = [
            (k, v)
            for k, v in answer.getheaders()
            if k.lower() not in ("transfer-encoding", "connection", "content-length")
        ]
        if fault is not None and fault.header is not None:
            told = [(k, v) for k, v in told if k.lower() != fault.header[0].lower()] + [fault.header]
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        connection.close()
        self._answer(answer.status, told, content, length)

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, length: str | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
