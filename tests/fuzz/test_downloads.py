"""Hostile servers of releases: what they answer while `verify ADDRESS` fetches, over real HTTP on loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.verifying import download as module
from pipeline.verifying.download import download, is_address
from tests.fuzz.hostile import NAMES, damaged
from tests.fuzz.profile import fuzzed
from tests.fuzz.property import result_or_error

FILES: Final = {"README.md": b"# A release\n" * 9, "model-f16.gguf": b"GGUF" + bytes(2000), "model.sig": b"{}"}
SUMS: Final = "".join(f"{'0' * 64}  {name}\n" for name in sorted(FILES) if name != "model.sig").encode()
Headers = dict[str, str]


class Hostile:
    """A server that is sound but for `status`, `headers` in place of the right ones, `body`, and `sums`."""

    def __init__(self) -> None:
        self.reset()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def reset(self, status: int = 200, headers: Headers | None = None, body: bytes | None = None) -> None:
        """Forget everything but these."""
        self.status, self.headers, self.body, self.sums = status, headers or {}, body, SUMS
        self.sent = 0

    @property
    def address(self) -> str:
        """The release's."""
        return f"http://127.0.0.1:{self.server.server_port}/release"


class _Handler(BaseHTTPRequestHandler):
    hub: Hostile
    protocol_version = "HTTP/1.0"

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        content = {**FILES, "SHA256SUMS": self.hub.sums}.get(name, b"")
        content = content if self.hub.body is None else self.hub.body
        self.send_response(self.hub.status)
        for header, value in {"Content-Length": str(len(content)), **self.hub.headers}.items():
            if value:
                self.send_header(header, value)
        self.end_headers()
        try:
            self.wfile.write(content)
            self.hub.sent += len(content)
        except OSError:
            return


@pytest.fixture(scope="module")
def hub() -> Iterator[Hostile]:
    """The server, and a client without proxies and patience."""
    found = Hostile()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        patch.setattr(time, "sleep", lambda _: None)
        patch.setattr(module, "_TIMEOUT_S", 2.0)
        patch.setattr(module, "_TRIES", 2)
        patch.setenv("HF_ENDPOINT", found.address)
        yield found
    found.server.shutdown()
    found.server.server_close()


def fetched(address: str, folder: Path) -> Path | None:
    """Fetch into a fresh folder. What lies there afterwards are files under plain names, and nothing beside it."""
    place = folder / f"{len(list(folder.iterdir()))}"
    place.mkdir()
    found: Path | None = result_or_error(lambda: download(address, place, lambda *_, **__: None))
    assert all(path.is_file() for path in place.iterdir())
    assert {path.name.isdecimal() for path in folder.iterdir()} == {True}
    return found


_NUMBERS: Final = ["", "0", "-1", "5", "9" * 19, "9" * 30, "9" * 5000, "1e3", "\u0663", "x", "5, 5", "\x1b[2J"]
_PLACES: Final = [
    "",
    "/",
    "file:///etc/passwd",
    "ftp://x/",
    "//[::1",
    "http://[",
    "../../x",
    "?",
    "#",
    "http://127.0.0.1:1/",
]


@fuzzed(0.25)
@given(
    status=st.sampled_from([200, 200, 200, 204, 206, 206, 301, 302, 307, 308, 304, 404, 416, 429, 500, 599]),
    headers=st.fixed_dictionaries(
        {},
        optional={
            "Content-Length": st.sampled_from(_NUMBERS),
            "Content-Range": st.sampled_from(_NUMBERS),
            "Content-Encoding": st.sampled_from(["gzip", "br", "zstd", "x"]),
            "Transfer-Encoding": st.sampled_from(["chunked", "x"]),
            "Content-Type": st.sampled_from(["", "text/html; charset=x", "\x1b"]),
            "Location": st.sampled_from([*_PLACES, "x" * 9000, "\x1b"]),
        },
    ),
    body=st.one_of(st.none(), st.binary(max_size=40), damaged(SUMS)),
)
@example(status=206, headers={}, body=None)
@example(status=302, headers={"Location": "http://["}, body=None)
@example(status=302, headers={"Location": "file:///etc/passwd"}, body=None)
@example(status=302, headers={"Location": "http://127.0.0.1:99999/"}, body=None)
@example(status=302, headers={"Location": "http://.example/"}, body=None)
@example(status=200, headers={"Content-Length": "9" * 5000}, body=None)
@example(status=200, headers={"Transfer-Encoding": "chunked"}, body=b"fffffffffffffffffff\r\n")
def test_answers(status: int, headers: Headers, body: bytes | None, hub: Hostile, tmp_path: Path) -> None:
    """Statuses, headers and bytes of any form: files, or an error in words."""
    sent = {name: value.encode("latin-1", "ignore").decode("latin-1") for name, value in headers.items()}
    hub.reset(status, sent, body)
    fetched(hub.address, tmp_path)


_LINE: Final = NAMES.map(lambda name: f"{'0' * 64}  {name}\n".encode("utf-8", "surrogatepass"))


@fuzzed(0.25)
@given(sums=st.one_of(damaged(SUMS), st.lists(_LINE, max_size=3).map(b"".join)))
@example(sums=b"")
@example(sums=SUMS + SUMS)
@example(sums=f"{'0' * 64}  SHA256SUMS\n".encode())
@example(sums=f"{'0' * 64}  {'x' * 300}\n".encode())
@example(sums="".join(f"{'0' * 64}  {number}\n" for number in range(1001)).encode())
def test_lists_of_files(sums: bytes, hub: Hostile, tmp_path: Path) -> None:
    """Names with paths, controls and repetitions, too long ones and too many: nothing lands outside of the folder."""
    hub.reset()
    hub.sums = sums
    fetched(hub.address, tmp_path)


def test_a_list_without_an_end_is_cut(hub: Hostile, tmp_path: Path) -> None:
    """Its bound is a megabyte, whatever length is told."""
    hub.reset()
    hub.sums = b"\0" * (1 << 24)
    for length in ("", "5", str(1 << 24)):
        hub.headers = {"Content-Length": length}
        assert fetched(hub.address, tmp_path) is None
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 3 << 20


@fuzzed(0.25)
@given(
    head=st.sampled_from(["release", "hf://owner/name", "http://127.0.0.1:1", "file://", "file:///x"]),
    tail=st.one_of(
        NAMES, st.sampled_from(["/x.gguf", "/%00.gguf", "/%2e%2e%2f.gguf", "/" + "x" * 5000, "@", ":x", "["])
    ),
)
@example(head="release", tail=":99999")
@example(head="file://", tail="/" + "x" * 5000)
@example(head="file://", tail="/%00")
@example(head="http://127.0.0.1:1", tail="[")
def test_addresses(head: str, tail: str, hub: Hostile, tmp_path: Path) -> None:
    """What a user pasted, or a paper named: another address than a release's is refused in words."""
    hub.reset()
    address = head.replace("release", hub.address) + tail
    if is_address(address) and not address.startswith("file:"):
        fetched(address, tmp_path)
    elif is_address(address):
        result_or_error(lambda: download(address, tmp_path, lambda *_, **__: None))


def test_the_server_is_sound_unless_it_is_told_otherwise(hub: Hostile, tmp_path: Path) -> None:
    """What is refused elsewhere is refused for its faults."""
    hub.reset()
    found = fetched(hub.address, tmp_path)
    assert found is not None
    assert {path.name: path.read_bytes() for path in found.iterdir()} == {**FILES, "SHA256SUMS": SUMS}
