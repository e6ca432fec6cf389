"""A hostile registry: what it answers while a release is published to it, over real HTTP on loopback."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.hostile import DEPTH, damaged_json
from tests.fuzz.profile import fuzzed
from tests.fuzz.property import result_or_error
from tests.support.publishing import run
from tests.support.release_folder import release_files, write_release

BASIC: Final = "Basic cHVibGlzaGVyOnBsYW50ZWQtMDEyMzQ1Njc4OQ=="
Headers = dict[str, str]


@dataclass
class Fault:
    """An answer in place of the right one: `status` of None keeps it, `headers` are set, `body` too where there is one.

    `first` is the number of the request of its kind, from which on it happens `times` times.
    """

    kind: str
    status: int | None = None
    headers: Headers = field(default_factory=dict)
    body: bytes | None = None
    first: int = 0
    times: int = 1000


class Hostile:
    """A registry in memory with a token server, sound but for its `faults`; `leaked` are hosts that got a login."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.reset([])
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def reset(self, faults: list[Fault]) -> None:
        """Forget everything."""
        self.faults = faults
        self.count: Counter[str] = Counter()
        self.blobs: dict[str, bytes] = {}
        self.uploads: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.leaked: set[str] = set()

    def answer(self, kind: str, right: tuple[int, Headers, bytes]) -> tuple[int, Headers, bytes]:
        """Return an answer with the faults of its kind."""
        number, (status, headers, body) = self.count[kind], right
        self.count[kind] += 1
        for fault in self.faults:
            if fault.kind == kind and fault.first <= number < fault.first + fault.times:
                status = status if fault.status is None else fault.status
                headers = {**headers, **fault.headers}
                body = body if fault.body is None else fault.body
        return status, headers, body


class _Handler(BaseHTTPRequestHandler):
    hub: Hostile
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None: ...

    def __getattr__(self, name: str) -> Any:
        """Answer every method alike: the base class looks for `do_GET` and its kin."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        content = self._body()
        path = urlsplit(self.path).path
        host, login = self.headers["Host"], self.headers.get("Authorization")
        if login and not path.endswith("/token") and host != f"127.0.0.1:{self.hub.port}":
            self.hub.leaked.add(host)
        token = "token", (200, dict[str, str](), b'{"token": "granted"}')
        kind, right = token if path.endswith("/token") else self._right(path, content, login)
        status, headers, body = self.hub.answer(kind, right)
        self.send_response_only(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        try:
            if self.command != "HEAD":
                self.wfile.write(body)
        except OSError:
            return
        self.close_connection = status < 200 or "Content-Length" in headers or status in (204, 304)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _right(self, path: str, content: bytes, login: str | None) -> tuple[str, tuple[int, Headers, bytes]]:
        """Return the kind of a request, and the answer of a sound registry."""
        if login not in (BASIC, "Bearer granted"):
            realm = f'Bearer realm="http://127.0.0.1:{self.hub.port}/token",service="test"'
            return "challenge", (401, {"WWW-Authenticate": realm}, b"")
        part, name = re.findall(r"/(blobs/uploads|blobs|manifests|referrers)/(.*)", path)[0]
        match part, self.command:
            case "blobs/uploads", method:
                return self._upload(method, name, content)
            case "blobs", _:
                return "blob", (200 if name in self.hub.blobs else 404, {}, b"")
            case "manifests", "PUT":
                return "put", self._put(name, content)
            case "manifests", method:
                return "tag" if method == "HEAD" else "manifest", self._get(name)
            case _:
                return "referrers", (404, {}, b"")

    def _upload(self, method: str, name: str, content: bytes) -> tuple[str, tuple[int, Headers, bytes]]:
        hub = self.hub
        if method == "POST":
            name = str(len(hub.uploads))
            hub.uploads[name] = b""
            return "begin", (202, self._place(name), b"")
        if name not in hub.uploads:
            return "gone", (404, {}, b"")
        hub.uploads[name] += content
        if method != "PUT":
            done = {"Range": f"0-{max(0, len(hub.uploads[name]) - 1)}", **self._place(name)}
            return ("chunk", (202, done, b"")) if method == "PATCH" else ("progress", (204, done, b""))
        whole = hub.uploads.pop(name)
        digest = f"sha256:{hashlib.sha256(whole).hexdigest()}"
        if parse_qs(urlsplit(self.path).query).get("digest") != [digest]:
            return "end", (400, {}, b'{"errors": [{"code": "DIGEST_INVALID"}]}')
        hub.blobs[digest] = whole
        return "end", (201, {"Docker-Content-Digest": digest}, b"")

    def _place(self, name: str) -> Headers:
        return {"Location": f"{self.path.partition('/uploads/')[0]}/uploads/{name}"}

    def _get(self, name: str) -> tuple[int, Headers, bytes]:
        kept = self.hub.manifests.get(name)
        return (404, {}, b"") if kept is None else (200, {"Docker-Content-Digest": kept[0]}, kept[1])

    def _put(self, name: str, content: bytes) -> tuple[int, Headers, bytes]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.hub.manifests[name] = self.hub.manifests[digest] = (digest, content)
        return 201, {"Docker-Content-Digest": digest}, b""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    """The registry, the login that is kept for it, and a client without patience."""
    from pipeline.publishing.oci import client

    found, folder = Hostile(), tmp_path_factory.mktemp("home")
    kept = {"auths": {f"127.0.0.1:{found.port}": {"auth": BASIC.partition(" ")[2]}}}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR"):
            patch.delenv(name, raising=False)
        patch.setenv("HOME", str(folder))
        patch.setenv("DOCKER_AUTH_CONFIG", json.dumps(kept))
        patch.setattr(time, "sleep", lambda _: None)
        patch.setattr(client, "CHUNK_BYTES", 400)
        yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small release, whose models go in chunks."""
    return write_release(tmp_path_factory.mktemp("small") / "release", release_files(weights=256))


def publish(registry: Hostile, release: Path, faults: list[Fault]) -> Any:
    """Publish twice; return what was told at last, None for an error in words. No login goes elsewhere."""
    registry.reset(faults)
    target = f"oci://127.0.0.1:{registry.port}/owner/model"
    found = result_or_error(lambda: (run(release, target), run(release, target))[1])
    assert registry.leaked == set()
    return found


def test_the_registry_is_sound_unless_it_is_told_otherwise(registry: Hostile, release: Path) -> None:
    """What is refused elsewhere is refused for its faults; every kind of request is asked."""
    faults = [Fault("chunk", status=503, first=1, times=1)]
    assert publish(registry, release, faults) is not None
    assert "0.1.0" not in registry.manifests
    assert "1.2.0" in registry.manifests
    assert set(registry.count) == set(KINDS)


KINDS: Final = (
    *("challenge", "token", "blob", "begin", "chunk", "progress", "end"),
    *("tag", "manifest", "put", "referrers"),
)
_ADDRESSES: Final = (
    *("", "/", "https://[", "//[::1", "http://[", "http://127.0.0.1:1/x", "https://host:port/", "file:///etc/passwd"),
    *("ftp://x/", "//127.0.0.1", "?", "#", "../../..", "http://registry.invalid/", "x" * 9000, "https://\xff/"),
)
_VALUES: Final = (
    *("", "0", "-1", "9" * 30, "9" * 5000, "0-0", "0-999999999999999", "bytes=0-399", "0-399", "nan", "\x9b2J", "x"),
    *("sha256:" + "0" * 64, "sha512:00", "sha256:\xe9", '"', "Basic", "Bearer", "Basic realm=x", 'Bearer realm=""'),
    *(f'Bearer realm="{address}",scope="{address}"' for address in _ADDRESSES),
)
_INDEX: Final[dict[str, Any]] = {"schemaVersion": 2, "manifests": [{"digest": "sha256:00", "size": 1, "x": "y"}]}
_BODIES: Final = st.one_of(
    st.none(),
    st.sampled_from([b"", b"null", b"[]", b"{}", b"[" * DEPTH, b"\xff", b"x" * 5_000_000]),
    damaged_json({"errors": [{"code": "DENIED", "message": "x"}]}),
    damaged_json({"token": "granted", "access_token": "granted"}),
    damaged_json(_INDEX),
)
_HEADERS: Final = st.fixed_dictionaries(
    {},
    optional={
        "Location": st.sampled_from(_ADDRESSES),
        "Range": st.sampled_from(_VALUES),
        "Docker-Content-Digest": st.sampled_from(_VALUES),
        "WWW-Authenticate": st.sampled_from(_VALUES),
        "OCI-Subject": st.sampled_from(_VALUES),
        "Content-Encoding": st.sampled_from(["gzip", "br", "x"]),
        "Content-Length": st.sampled_from(_VALUES),
    },
)
_STATUSES: Final = (None, None, 200, 201, 202, 204, 301, 307, 308, 400, 401, 401, 403, 404, 416, 429, 500, 507, 599)
_FAULTS: Final = st.builds(
    Fault,
    kind=st.sampled_from(KINDS),
    status=st.sampled_from(_STATUSES),
    headers=_HEADERS,
    body=_BODIES,
    first=st.integers(0, 3),
    times=st.sampled_from([1, 2, 1000]),
)


@fuzzed(0.25)
@given(faults=st.lists(_FAULTS, min_size=1, max_size=3))
@example(faults=[Fault("begin", headers={"Location": "https://["})])
@example(faults=[Fault("chunk", headers={"Location": "https://host:port/"})])
@example(faults=[Fault("chunk", status=401, headers={"WWW-Authenticate": 'Bearer realm="http://["'})])
@example(faults=[Fault("challenge", headers={"WWW-Authenticate": 'Bearer realm="http://["'})])
@example(faults=[Fault("chunk", status=503), Fault("progress", headers={"Range": "0-999999999999999"})])
@example(faults=[Fault("manifest", body=json.dumps({"manifests": [{"digest": "\ud800"}]}).encode(), times=6)])
@example(faults=[Fault("manifest", body=b'{"manifests": [{"size": NaN}]}', status=200, times=6)])
@example(faults=[Fault("tag", status=200, headers={"Docker-Content-Digest": "\x9b2J"})])
def test_answers(faults: list[Fault], registry: Hostile, release: Path) -> None:
    """Statuses, headers and bodies of any kind, at any point: published, or an error in words."""
    publish(registry, release, faults)
