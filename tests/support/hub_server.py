"""A small hub on loopback: what `huggingface_hub` really asks for, and the faults of a real network.

Small files are answered directly, with git's object id as ETag. Large ones are redirected to a
second server under another host name, as the real hub redirects to its storage.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote, urlsplit

REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Faults:
    """What goes wrong; lists are used up one entry per GET of the file's bytes.

    `cut`: bytes after which the connection breaks. `corrupt`: how often a byte is flipped.
    `statuses`: answers of the hub instead of the file. `stall`: files of which only half ever
    comes. `ignore_range`: the storage sends the whole file whatever is asked for.
    """

    cut: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    corrupt: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    statuses: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    stall: set[str] = field(default_factory=set)
    ignore_range: bool = False
    gated: bool = False
    private: bool = False
    wrong_commit: bool = False


@dataclass(frozen=True)
class Asked:
    """One request that a server got."""

    server: str
    method: str
    path: str
    range: str
    authorization: str


class HubServer:
    """The hub and its storage, each on a port of its own, as a context manager."""

    def __init__(
        self, files: dict[str, bytes], *, repo: str = "owner/model", large: tuple[str, ...] = ("*.safetensors",)
    ) -> None:
        self.files = files
        self.repo = repo
        self.faults = Faults()
        self.asked: list[Asked] = []
        self.released = threading.Event()
        self._large = re.compile("|".join(pattern.replace(".", r"\.").replace("*", ".*") for pattern in large) or "$^")
        self._hub = self._server("hub")
        self._storage = self._server("storage")

    def _server(self, name: str) -> ThreadingHTTPServer:
        handler = type("Handler", (_Handler,), {"hub": self, "server_name_": name})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        return server

    def __enter__(self) -> Self:
        for server in (self._hub, self._storage):
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        for server in (self._hub, self._storage):
            server.shutdown()
            server.server_close()

    @property
    def endpoint(self) -> str:
        """Value for HF_ENDPOINT."""
        return f"http://127.0.0.1:{self._hub.server_port}"

    def storage_address(self, name: str) -> str:
        """Where a large file lies: another host name, as far as a client can tell."""
        return f"http://localhost:{self._storage.server_port}/storage/{name}?signature=secret"

    def is_large(self, name: str) -> bool:
        """Tell whether a file is stored apart."""
        return self._large.fullmatch(name) is not None

    def pins(self) -> dict[str, str]:
        """Return the sha256 of every file, as a recipe pins them."""
        return {name: hashlib.sha256(content).hexdigest() for name, content in self.files.items()}

    def ranges(self, name: str) -> list[str]:
        """Return the Range header of every GET of a file's bytes, empty where there was none."""
        server = "storage" if self.is_large(name) else "hub"
        return [a.range for a in self.asked if (a.method, a.server) == ("GET", server) and a.path.endswith(f"/{name}")]


def git_object_id(content: bytes) -> str:
    """Return git's id of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    server_name_: str
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None: ...

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        headers = self.headers
        self.hub.asked.append(
            Asked(self.server_name_, self.command, path, headers.get("Range", ""), headers.get("Authorization", ""))
        )
        if self.server_name_ == "storage":
            self._send_file(path.removeprefix("/storage/"), {})
        elif path.startswith("/api/models/"):
            self._model_info(path)
        else:
            self._resolve(path)

    def _refuse(self, status: int, code: str = "") -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _refused(self, repo: str, revision: str) -> bool:
        """Answer what a repository refuses as a whole; return whether it did."""
        if repo != self.hub.repo or self.hub.faults.private:
            self._refuse(401, "RepoNotFound")
        elif self.hub.faults.gated:
            self._refuse(403, "GatedRepo")
        elif revision not in (REVISION, "main"):
            self._refuse(404, "RevisionNotFound")
        else:
            return False
        return True

    def _model_info(self, path: str) -> None:
        match = re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/(.+)", path)
        if match is None or self._refused(match[1], match[2]):
            return
        siblings = [self._sibling(name, content) for name, content in sorted(self.hub.files.items())]
        body = json.dumps({"id": self.hub.repo, "sha": REVISION, "siblings": siblings}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _sibling(self, name: str, content: bytes) -> dict[str, Any]:
        found: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": git_object_id(content)}
        if self.hub.is_large(name):
            digest = hashlib.sha256(content).hexdigest()
            found["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 134}
        return found

    def _resolve(self, path: str) -> None:
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if match is None or self._refused(match[1], match[2]):
            return
        name = match[3]
        if name not in self.hub.files:
            self._refuse(404, "EntryNotFound")
            return
        statuses = self.hub.faults.statuses[name]
        if statuses:
            self._refuse(statuses.pop(0))
            return
        content = self.hub.files[name]
        commit = "f" * 40 if self.hub.faults.wrong_commit else REVISION
        if self.hub.is_large(name):
            self.send_response(302)
            self.send_header("Location", self.hub.storage_address(name))
            self.send_header("X-Repo-Commit", commit)
            self.send_header("X-Linked-Etag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Linked-Size", str(len(content)))
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._send_file(name, {"X-Repo-Commit": commit, "ETag": f'"{git_object_id(content)}"'})

    def _send_file(self, name: str, headers: dict[str, str]) -> None:
        content = self.hub.files[name]
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted and not self.hub.faults.ignore_range else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if self.command == "GET":
            self._send_bytes(name, content, start)

    def _send_bytes(self, name: str, content: bytes, start: int) -> None:
        faults = self.hub.faults
        if faults.corrupt[name] > 0:
            faults.corrupt[name] -= 1
            content = content[:-1] + bytes([content[-1] ^ 1])
        if name in faults.stall:
            self.wfile.write(content[start : max(start, len(content) // 2)])
            self.wfile.flush()
            self.hub.released.wait()
            self.close_connection = True
        elif faults.cut[name]:
            self.wfile.write(content[start : start + faults.cut[name].pop(0)])
            self.close_connection = True
        else:
            self.wfile.write(content[start:])
