"""Hostile answers where a container engine should be: `[hosts]` names an address, and anything may listen there."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.executors.docker.engine import Engines
from pipeline.executors.docker.owner import PROJECT
from pipeline.images.lock import LockedImage
from pipeline.settings import Host
from tests.fuzz.hostile import DEPTH, damaged_json
from tests.fuzz.profile import fuzzed
from tests.fuzz.property import result_or_error

IMAGE: Final = LockedImage("inference-cpu", "sha256:config", {}, "sha256:manifest")
LABELS: Final = {
    f"{PROJECT}.owner-host": socket.gethostname(),
    f"{PROJECT}.owner-pid": "1",
    f"{PROJECT}.owner-started": "long ago",
}
"""Of an owner who has ended."""
ANSWERS: Final[dict[str, Any]] = {
    "version": {"Version": "27.1", "ApiVersion": "1.46"},
    "info": {"MemTotal": 8 << 30, "MemoryLimit": True, "PidsLimit": True, "CgroupVersion": "2", "SecurityOptions": []},
    "containers/json": [{"Id": "a" * 64, "Labels": LABELS}],
    "volumes": {"Volumes": [{"Name": "b", "Labels": LABELS}]},
    "images/sha256:config/json": {"Id": "sha256:config"},
}
"""What is asked before a job is started, and what an engine answers."""


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class Hostile:
    """An engine on a socket that is sound but for the answers in `changed`, and for `status`."""

    def __init__(self, path: Path) -> None:
        self.changed: dict[str, bytes] = {}
        self.status = 200
        self.url = f"unix://{path}"
        self.server = _Server(str(path), type("Handler", (_Handler,), {"engine": self}))
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    engine: Hostile

    def log_message(self, *_: Any) -> None: ...

    def address_string(self) -> str:
        return ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].replace("%3A", ":")
        name = next((one for one in ANSWERS if path.endswith(one)), "")
        changed = self.engine.changed.get(name)
        body = json.dumps(ANSWERS.get(name, {})).encode() if changed is None else changed
        self.send_response(200 if changed is None else self.engine.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_DELETE(self) -> None:
        self.do_GET()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    """The engine, on a socket of this test."""
    found = Hostile(tmp_path_factory.mktemp("engine") / "s")
    yield found
    found.server.shutdown()
    found.server.server_close()


def asked(engine: Hostile) -> LockedImage:
    """Connect, clean up what ended owners left behind, and ask for an image: all that is done before a job."""
    host = Host(url=engine.url, ca=None, certificate=None, key=None)
    return Engines({"inference-cpu": host}, lambda *_, **__: None).of("inference-cpu").known(IMAGE)


_NAME: Final = st.sampled_from(sorted(ANSWERS))


@fuzzed(0.5)
@given(
    answer=_NAME.flatmap(lambda name: st.tuples(st.just(name), damaged_json(ANSWERS[name]))),
    status=st.sampled_from([200, 200, 200, 204, 301, 400, 404, 500]),
)
@example(answer=("version", b"[]"), status=200)
@example(answer=("version", b"{}"), status=200)
@example(answer=("version", b'{"ApiVersion": 7}'), status=200)
@example(answer=("version", b'{"ApiVersion": "1.x"}'), status=200)
@example(answer=("version", b'{"ApiVersion": "9"}'), status=200)
@example(answer=("version", b"[" * DEPTH), status=200)
@example(answer=("info", b"7"), status=200)
@example(answer=("info", b"{}"), status=200)
@example(answer=("info", b'{"MemTotal": 1e999}'), status=200)
@example(answer=("info", b'{"MemTotal": 1, "SecurityOptions": 7}'), status=200)
@example(answer=("containers/json", b"{}"), status=200)
@example(answer=("containers/json", b'[{"Labels": 7}]'), status=200)
@example(
    answer=("containers/json", json.dumps([{"Labels": {**LABELS, f"{PROJECT}.owner-pid": "x"}}]).encode()), status=200
)
@example(answer=("volumes", b"[]"), status=200)
@example(answer=("images/sha256:config/json", b"{}"), status=200)
@example(answer=("images/sha256:config/json", b'{"Id": 7}'), status=200)
@example(answer=("images/sha256:config/json", b'{"Id": "\\u001b[2J"}'), status=200)
def test_answers(answer: tuple[str, bytes], status: int, engine: Hostile) -> None:
    """Versions, facts, containers, volumes and images of any form: the very image, or an error in words."""
    name, body = answer
    engine.changed, engine.status = {name: body}, status
    found = result_or_error(lambda: asked(engine))
    assert found is None or found.id == IMAGE.id


def test_the_engine_is_sound_unless_it_is_told_otherwise(engine: Hostile) -> None:
    """What is refused above is refused for its faults."""
    engine.changed = {}
    assert asked(engine) == IMAGE
