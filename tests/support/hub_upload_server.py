"""A small hub on loopback that takes uploads: what `huggingface_hub` really asks for, and the faults of a real network.

Large files go by LFS to a second server, in one part or in several; a commit makes them visible. Each request needs a
token.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN, READER = "hf_writer0123456789", "hf_reader0123456789"


@dataclass
class UploadFaults:
    """What goes wrong. Lists are used up, one entry per request.

    `cut`: bytes of an upload after which the connection breaks. `statuses`: answers in place of the endpoint's own,
    by its name.
    `bodies`: bytes in place of what the endpoint of that name says, each time.
    `other_digest`: large files of which the hub tells another sha256. `garble`: small files that are read back changed.
    `on_whole` is called when a large file was taken whole, before that is answered.
    """

    cut: list[int] = field(default_factory=list)
    statuses: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    bodies: dict[str, bytes] = field(default_factory=dict)
    other_digest: set[str] = field(default_factory=set)
    garble: set[str] = field(default_factory=set)
    on_whole: Callable[[], None] | None = None


@dataclass
class Repository:
    """One repository: `branches` by name to the newest commit, `commits` by id to files."""

    visibility: str
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, branch: str, files: dict[str, bytes], message: str = "initial commit") -> str:
        """Add a commit to a branch; return its id."""
        self.messages.append(message)
        oid = hashlib.sha1(f"{len(self.messages)} {message}".encode(), usedforsecurity=False).hexdigest()
        self.commits[oid] = files
        self.branches[branch] = oid
        return oid

    def at(self, revision: str) -> dict[str, bytes] | None:
        """Return the files of a branch or commit."""
        return self.commits.get(self.branches.get(revision, revision))


class HubUploadServer:
    """The hub and its storage, each on a port of its own, as a context manager."""

    def __init__(self, *, part: int = 64_000) -> None:
        self.part = part
        self.repositories: dict[str, Repository] = {}
        self.storage: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = defaultdict(dict)
        self.faults = UploadFaults()
        self.asked: list[tuple[str, str, str]] = []
        self._hub, self._store = self._server("hub"), self._server("storage")

    def _server(self, name: str) -> ThreadingHTTPServer:
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self, "side": name}))
        server.daemon_threads = True
        return server

    def __enter__(self) -> Self:
        for server in (self._hub, self._store):
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self._hub, self._store):
            server.shutdown()
            server.server_close()

    @property
    def endpoint(self) -> str:
        """Value for HF_ENDPOINT."""
        return f"http://127.0.0.1:{self._hub.server_port}"

    def storage_address(self, oid: str, part: int | None = None) -> str:
        """Where a large file is uploaded to."""
        query = "" if part is None else f"&part={part}"
        return f"http://localhost:{self._store.server_port}/{oid}?signature=signed{query}"

    def uploads(self) -> list[str]:
        """Return the paths of all uploads to the storage."""
        return [path for side, method, path in self.asked if (side, method) == ("storage", "PUT")]


class _Handler(BaseHTTPRequestHandler):
    hub: HubUploadServer
    side: str
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.side, self.command, self.path))
        if self.side == "storage":
            self._store(path.lstrip("/"))
            return
        body = self._body()
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if path.startswith("/complete/"):
            self._complete(path.removeprefix("/complete/"), json.loads(body))
        elif token not in (TOKEN, READER):
            self._send(
                401,
                {"error": "Invalid username or password."},
                {"X-Error-Code": "RepoNotFound"} if "/models/" in path else {},
            )
        elif self.command == "POST" and token == READER and "validate" not in path:
            self._send(403, {"error": "no write access"})
        else:
            self._route(path, body)

    def _route(self, path: str, body: bytes) -> None:
        for name, pattern in _ROUTES.items():
            match = re.fullmatch(pattern, path)
            if match is not None:
                planted = self.hub.faults.bodies.get(name)
                if self.hub.faults.statuses[name] or planted is not None:
                    status = self.hub.faults.statuses[name].pop(0) if self.hub.faults.statuses[name] else 200
                    self._send(status, {"error": "planted"} if planted is None else planted)
                else:
                    getattr(self, f"_{name}")(*match.groups(), body)
                return
        self._send(404, {"error": f"nothing at {path}"})

    def _create(self, body: bytes) -> None:
        asked = json.loads(body)
        repo = f"{asked['organization']}/{asked['name']}"
        if repo in self.hub.repositories:
            self._send(409, {"error": "exists", "url": f"{self.hub.endpoint}/{repo}"})
            return
        self.hub.repositories[repo] = made = Repository(asked.get("visibility", "public"))
        made.commit("main", {".gitattributes": b"*.gguf filter=lfs\n"})
        self._send(200, {"url": f"{self.hub.endpoint}/{repo}", "name": repo})

    def _yaml(self, _body: bytes) -> None:
        self._send(200, {"errors": [], "warnings": []})

    def _branch(self, repo: str, branch: str, body: bytes) -> None:
        made, asked = self.hub.repositories[repo], json.loads(body or b"{}")
        if branch in made.branches:
            self._send(409, {"error": "exists"})
            return
        made.branches[branch] = asked.get("startingPoint", made.branches["main"])
        self._send(201, {})

    def _info(self, repo: str, revision: str, _body: bytes) -> None:
        found = self.hub.repositories.get(repo)
        if found is None:
            self._send(404, {"error": "none"}, {"X-Error-Code": "RepoNotFound"})
            return
        files = found.at(revision)
        if files is None:
            self._send(404, {"error": "none"}, {"X-Error-Code": "RevisionNotFound"})
            return
        siblings = [self._sibling(name, content) for name, content in sorted(files.items())]
        self._send(200, {"id": repo, "sha": found.branches.get(revision, revision), "siblings": siblings})

    def _sibling(self, name: str, content: bytes) -> dict[str, Any]:
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        told: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": blob}
        if name.endswith(".gguf"):
            digest = hashlib.sha256(content).hexdigest()
            digest = "0" * 64 if name in self.hub.faults.other_digest else digest
            told |= {"blobId": "f" * 40, "lfs": {"sha256": digest, "size": len(content), "pointerSize": 134}}
        return told

    def _preupload(self, repo: str, revision: str, body: bytes) -> None:
        asked = json.loads(body)
        found = self.hub.repositories[repo].at(revision) or {}
        ignored = asked["gitIgnore"] if "gitIgnore" in asked else found.get(".gitignore", b"").decode()
        told = [
            {
                "path": one["path"],
                "uploadMode": "lfs" if one["path"].endswith(".gguf") else "regular",
                "shouldIgnore": one["path"] in ignored.splitlines(),
                "oid": None,
            }
            for one in asked["files"]
        ]
        self._send(200, {"files": told})

    def _batch(self, repo: str, body: bytes) -> None:
        objects = []
        for one in json.loads(body)["objects"]:
            told = {"oid": one["oid"], "size": one["size"]}
            if one["oid"] not in self.hub.storage:
                told["actions"] = {"upload": self._upload_action(one["oid"], one["size"])}
            objects.append(told)
        self._send(200, {"objects": objects, "transfer": "basic"})

    def _upload_action(self, oid: str, size: int) -> dict[str, Any]:
        if size <= self.hub.part:
            return {"href": self.hub.storage_address(oid)}
        count = -(-size // self.hub.part)
        parts = {str(n): self.hub.storage_address(oid, n) for n in range(1, count + 1)}
        return {"href": f"{self.hub.endpoint}/complete/{oid}", "header": {"chunk_size": str(self.hub.part), **parts}}

    def _commit(self, repo: str, branch: str, body: bytes) -> None:
        lines = [json.loads(line) for line in body.splitlines()]
        found = self.hub.repositories[repo]
        head = lines[0]["value"]
        if branch not in found.branches:
            self._send(404, {"error": "none"}, {"X-Error-Code": "RevisionNotFound"})
            return
        if head.get("parentCommit") not in (None, found.branches.get(branch)):
            self._send(412, {"error": "the branch moved"})
            return
        files = dict(found.at(branch) or {})
        for line in lines[1:]:
            value = line["value"]
            match line["key"]:
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.hub.storage[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        oid = found.commit(branch, files, head["summary"])
        self._send(200, {"commitUrl": f"{self.hub.endpoint}/{repo}/commit/{oid}", "commitOid": oid})

    def _resolve(self, repo: str, revision: str, name: str, _body: bytes) -> None:
        files = self.hub.repositories[repo].at(revision) or {}
        content = files[name]
        if name in self.hub.faults.garble:
            content = content[:-1] + bytes([content[-1] ^ 1])
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def _store(self, oid: str) -> None:
        """Take bytes, and keep them only where they are what they are called."""
        faults = self.hub.faults
        if faults.cut:
            self.rfile.read(faults.cut.pop(0))
            self.close_connection = True
            self.connection.close()
            return
        content = self._body()
        query = parse_qs(urlsplit(self.path).query)
        if faults.statuses["store"]:
            self._send(faults.statuses["store"].pop(0), {})
        elif "part" in query:
            self.hub.parts[oid][int(query["part"][0])] = content
            self._send(200, {}, {"ETag": f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'})
        elif hashlib.sha256(content).hexdigest() != oid:
            self._send(422, {"error": "other bytes"})
        else:
            self._keep(oid, content)

    def _complete(self, oid: str, asked: dict[str, Any]) -> None:
        parts = self.hub.parts.pop(oid, {})
        content = b"".join(parts[one["partNumber"]] for one in asked["parts"])
        if hashlib.sha256(content).hexdigest() != oid:
            self._send(422, {"error": "other bytes"})
            return
        self._keep(oid, content)

    def _keep(self, oid: str, content: bytes) -> None:
        self.hub.storage[oid] = content
        if self.hub.faults.on_whole is not None:
            self.hub.faults.on_whole()
        self._send(200, {})

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(self, status: int, told: dict[str, Any] | bytes, headers: dict[str, str] | None = None) -> None:
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


_NAME = r"([^/]+/[^/]+)"
_ROUTES = {
    "create": r"/api/repos/create",
    "yaml": r"/api/validate-yaml",
    "info": rf"/api/models/{_NAME}/revision/(.+)",
    "branch": rf"/api/models/{_NAME}/branch/(.+)",
    "preupload": rf"/api/models/{_NAME}/preupload/(.+)",
    "batch": rf"/{_NAME}\.git/info/lfs/objects/batch",
    "commit": rf"/api/models/{_NAME}/commit/(.+)",
    "resolve": rf"/{_NAME}/resolve/([^/]+)/(.+)",
}
"""Name of an endpoint → its path."""
