"""A folder on loopback by HTTP, with ranges, and the faults of a real network."""

from __future__ import annotations

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote


class FileServer:
    """Serves a folder's files below `/base/`, as a context manager.

    `cut` maps a name to the bytes after which the connection breaks, one for each request; `redirect` a name to
    another address; `endless` are names whose bytes never end and whose length is not told. `certificate` is a PEM file
    with a certificate and its key: the server speaks TLS then.
    """

    def __init__(self, folder: Path, certificate: Path | None = None) -> None:
        self.folder = folder
        self.cut: dict[str, list[int]] = {}
        self.redirect: dict[str, str] = {}
        self.endless: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        handler = type("Handler", (_Handler,), {"files": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        scheme = "https" if certificate else "http"
        self.address = f"{scheme}://127.0.0.1:{self._server.server_address[1]}/base"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    files: FileServer

    def do_GET(self) -> None:
        """Answer one request."""
        name, given = unquote(self.path).removeprefix("/base/"), self.headers.get("Range", "")
        self.files.asked.append((name, given))
        path = self.files.folder / name
        if name in self.files.redirect:
            self.send_response(302)
            self.send_header("Location", self.files.redirect[name])
            self.end_headers()
        elif name in self.files.endless:
            self._endless()
        elif "/" in name or not path.is_file():
            self.send_error(404)
        else:
            self._file(path, int(given.removeprefix("bytes=").removesuffix("-") or 0))

    def _file(self, path: Path, start: int) -> None:
        content = path.read_bytes()[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        cuts = self.files.cut.get(path.name)
        self.wfile.write(content[: cuts.pop(0)] if cuts else content)

    def _endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"\0" * (1 << 16))
        except OSError:
            return

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
