"""No file of a release tells of the machine: host, user and folder are planted, the hours are those of the test."""

from __future__ import annotations

import base64
import getpass
import os
import platform
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.releasing import layout
from pipeline.signing.key_signer import KeySigner
from tests.support.gguf_file import write_small
from tests.support.releasable import ReleasePlace
from tests.support.released import write_key
from tests.support.traces import Span, traces

HOST, USER, FOLDER = "planted-host-4711", "planted-user-4711", "planted-folder-4711"
WORDS = (HOST, USER, FOLDER)
_HOUR = 3600.0


def plant(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let every way to ask for host, user and home answer with a word of the test's own."""
    system = os.uname()
    named = os.uname_result((system.sysname, HOST, system.release, system.version, system.machine))
    monkeypatch.setattr(os, "uname", lambda: named)
    monkeypatch.setattr(platform, "node", lambda: HOST)
    monkeypatch.setattr(socket, "gethostname", lambda: HOST)
    monkeypatch.setattr(socket, "getfqdn", lambda name="": f"{name or HOST}.example.org")
    monkeypatch.setattr(getpass, "getuser", lambda: USER)
    for name in ("USER", "LOGNAME", "USERNAME"):
        monkeypatch.setenv(name, USER)
    monkeypatch.setenv("HOSTNAME", HOST)
    monkeypatch.setenv("HOME", str(folder / "home"))


@pytest.fixture
def span() -> Span:
    """From the hour before the test to the hour after."""
    return Span(time.time() - _HOUR, time.time() + _HOUR)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReleasePlace:
    """A place where the words are planted, with real GGUF headers and a real key; nothing is built yet."""
    folder = tmp_path / FOLDER
    plant(monkeypatch, folder)
    place = ReleasePlace(folder, monkeypatch)
    made = place.made()
    for at, path in enumerate((made["convert"] / "model-f16.gguf", made["quantize-Q4_K_M"] / "model-Q4_K_M.gguf")):
        write_small(path, {"general.name": "ready", "general.file_type": at}, [1.0, 2.0, float(at)])
    place.signer = KeySigner(write_key(folder / "key.pem"))  # in place of the fake
    return place


def test_no_file_tells_of_the_machine(place: ReleasePlace, span: Span) -> None:
    """Card, report, recipe, bill, manifest, statements, signature, headers: not one of the words, and no time."""
    place.run()
    released = place.release()
    assert {layout.SIGNATURE, layout.PROVENANCE, layout.BILL_OF_MATERIALS} <= {path.name for path in released.iterdir()}
    assert traces(released, WORDS, span) == []


@pytest.mark.parametrize(
    "told",
    [
        lambda now: b"made on planted-host-4711",
        lambda now: base64.b64encode(b'{"by": "planted-user-4711", "of": 1}'),
        lambda now: base64.b64encode(base64.b64encode(b"/home/x/planted-folder-4711/release")),
        lambda now: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)).encode(),
        lambda now: time.strftime("(%d %b %Y)", time.gmtime(now)).encode(),
        lambda now: f'"finished":{now:.6f}'.encode(),
        lambda now: f'"finished":{now * 1000:.0f},'.encode(),
    ],
)
def test_a_trace_in_any_file_is_found(tmp_path: Path, span: Span, told: Callable[[float], bytes]) -> None:
    """Else the test before would show nothing."""
    (tmp_path / "paper").write_bytes(b'{"a": 1} ' + told(time.time()) + b"\n")
    assert len(traces(tmp_path, WORDS, span)) == 1


@pytest.mark.parametrize("value", [f"by {USER}", int(time.time())], ids=["user", "hour"])  # the same in each process
def test_a_trace_in_a_header_is_found(tmp_path: Path, span: Span, value: str | int) -> None:
    """Also where a time is a number of four bytes."""
    write_small(tmp_path / "model-f16.gguf", {"general.author": value}, [1.0])
    assert len(traces(tmp_path, WORDS, span)) == 1


def test_a_trace_that_a_stage_leaves_is_found(place: ReleasePlace, span: Span) -> None:
    """What a stage writes of the machine reaches the release, and the search of it."""
    path = place.made()["fetch-data"] / "rows.jsonl"
    shutil.move(path, path.with_name(f"rows-of-{USER}.jsonl"))
    place.run()
    assert f"{layout.MANIFEST}: {USER}" in traces(place.release(), WORDS, span)
