"""A hostile hub: what it says of a model, what it sends, and what it answers to uploads, over real HTTP on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import FetchError
from pipeline.stages.stage import HostJob
from tests.fuzz.hostile import damaged_json
from tests.fuzz.profile import fuzzed
from tests.fuzz.property import result_or_error
from tests.support.events import Events
from tests.support.hub_server import REVISION, git_object_id
from tests.support.hub_upload_server import TOKEN, HubUploadServer, Repository, UploadFaults
from tests.support.model_folder import model_files
from tests.support.publishing import run
from tests.support.release_folder import release_files, write_release

NAMES: Final = ("config.json", "model.safetensors", "tokenizer.json")
FILES: Final = {name: content for name, content in model_files().items() if name in NAMES}
PINS: Final = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
LISTED: Final[dict[str, Any]] = {
    "id": "owner/model",
    "sha": REVISION,
    "siblings": [
        {"rfilename": name, "size": len(content), "blobId": git_object_id(content)} for name, content in FILES.items()
    ],
}
RECIPE: Final = (
    'name = "mine"\ndescription = "a test"\n[base]\nsource = "hub"\nrepo = "owner/model"\n'
    '[data]\nsource = "files"\nfiles = ["rows.jsonl"]\n[prompt]\nuser = "{theme}"\n'
)

Headers = dict[str, str]


class Hostile:
    """A hub that answers as it is told: `status`, `headers` (in place of the right ones), `body`, `listed`."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: Headers = {}
        self.body: Callable[[bytes], Iterator[bytes]] = lambda content: iter([content])
        self.listed = json.dumps(LISTED).encode()
        self.sent = 0
        handler = type("Handler", (_Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def endpoint(self) -> str:
        """Value for HF_ENDPOINT."""
        return f"http://127.0.0.1:{self.server.server_port}"


class _Handler(BaseHTTPRequestHandler):
    hub: Hostile
    protocol_version = "HTTP/1.0"

    def log_message(self, *_: Any) -> None: ...

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        if self.path.startswith("/api/"):
            return self._send(200, {"Content-Type": "application/json"}, [self.hub.listed])
        content = FILES.get(self.path.rpartition("/")[2], b"")
        right = {"X-Repo-Commit": REVISION, "ETag": f'"{git_object_id(content)}"', "Content-Length": str(len(content))}
        return self._send(self.hub.status, {**right, **self.hub.headers}, self.hub.body(content))

    def _send(self, status: int, headers: Headers, body: Any) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        try:
            for part in body if self.command == "GET" else ():
                self.wfile.write(part)
                self.hub.sent += len(part)
        except OSError:
            return


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    """The hub, and a client without the user's login, cache and patience."""
    import huggingface_hub
    from huggingface_hub import constants

    found, folder = Hostile(), tmp_path_factory.mktemp("hub")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
            patch.delenv(name, raising=False)
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        patch.setenv("HF_ENDPOINT", found.endpoint)
        patch.setattr(constants, "HF_TOKEN_PATH", str(folder / "no-token"))
        patch.setattr(constants, "HF_HUB_CACHE", str(folder / "user-cache"))
        patch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 2)
        patch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 2)
        patch.setattr(time, "sleep", lambda _: None)
        huggingface_hub.close_session()
        yield found
        huggingface_hub.close_session()
    found.server.shutdown()
    found.server.server_close()


def fetch(folder: Path) -> dict[str, bytes] | None:
    """Fetch the model into a fresh folder; return its files. What came has the pinned bytes, and lies in the folder."""
    from pipeline.fetching.hub import fetch_hub

    count = len(list(folder.iterdir()))
    output, scratch = folder / f"{count}" / "output", folder / f"{count}" / "scratch"
    for one in (output, scratch):
        one.mkdir(parents=True)
    parameters: dict[str, Any] = {"source": "hub", "repo": "owner/model", "revision": REVISION, "files": PINS}
    parameters |= {"licence": "Apache-2.0", "quantized": False}
    job = HostJob(parameters=parameters, inputs={}, output=output, scratch=scratch, emit=Events())
    result_or_error(lambda: fetch_hub(job))
    found = {path.name: path.read_bytes() for path in output.iterdir() if path.name in PINS}
    assert all(found[name] == FILES[name] for name in found)
    return found or None


_VALUES: Final = st.sampled_from(
    [
        "",
        "0",
        "-1",
        "9" * 30,
        "9" * 5000,
        "1e3",
        "nan",
        "\u0663",
        "x",
        REVISION,
        "f" * 40,
        '"',
        '"../../escape"',
        "\x1b[2J",
    ]
)
_PLACES: Final = st.sampled_from(
    [
        "",
        "/",
        "file:///etc/passwd",
        "ftp://x/",
        "//[::1",
        "http://127.0.0.1:1/",
        "http://[",
        "../../x",
        "\x1b",
        "x" * 9000,
    ]
)


@fuzzed(0.25)
@given(
    status=st.sampled_from([200, 200, 200, 204, 206, 301, 302, 307, 308, 400, 416, 429, 500, 599]),
    headers=st.fixed_dictionaries(
        {},
        optional={
            "X-Repo-Commit": _VALUES,
            "ETag": _VALUES,
            "X-Linked-Etag": _VALUES,
            "X-Linked-Size": _VALUES,
            "Content-Length": _VALUES,
            "Content-Encoding": st.sampled_from(["gzip", "br", "x"]),
            "Content-Range": _VALUES,
            "Location": _PLACES,
            "X-Error-Code": _VALUES,
            "X-Error-Message": _VALUES,
        },
    ),
)
@example(status=302, headers={"Location": "file:///etc/passwd"})
@example(status=302, headers={"Location": "//[::1"})
@example(status=200, headers={"Content-Length": "9" * 5000})
@example(status=200, headers={"X-Linked-Size": "-1"})
def test_answers(status: int, headers: Headers, hub: Hostile, tmp_path: Path) -> None:
    """Statuses and headers of any kind: the pinned bytes, or an error in words, and no file beside."""
    hub.status, hub.headers, hub.body = (
        status,
        {k: v.encode("ascii", "ignore").decode() for k, v in headers.items()},
        iter_one,
    )
    fetch(tmp_path)


def iter_one(content: bytes) -> Iterator[bytes]:
    """Send the file as it is."""
    return iter([content])


def test_the_hub_is_sound_unless_it_is_told_otherwise(hub: Hostile, tmp_path: Path) -> None:
    """What is refused elsewhere is refused for its faults."""
    hub.status, hub.headers, hub.body = 200, {}, iter_one
    assert fetch(tmp_path) == FILES


def test_a_file_without_an_end_is_cut(hub: Hostile, tmp_path: Path) -> None:
    """A server that sends for ever fills neither memory nor disk: no byte over the told size is written."""

    def endless(content: bytes) -> Iterator[bytes]:
        while hub.sent < 1 << 30:
            yield b"\0" * (1 << 16)

    hub.sent, hub.status, hub.headers, hub.body = 0, 200, {"X-Linked-Size": "100"}, endless
    hub.headers |= {"Content-Length": ""}
    assert fetch(tmp_path) is None
    assert hub.sent < 1 << 28
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 100 * len(FILES)


@fuzzed(0.25)
@given(listed=damaged_json(LISTED))
@example(listed=json.dumps({**LISTED, "siblings": [{"rfilename": "model-/../../../x-of-1.safetensors"}]}).encode())
@example(listed=json.dumps({**LISTED, "siblings": None}).encode())
@example(listed=json.dumps({**LISTED, "siblings": [{"rfilename": 7}]}).encode())
@example(listed=json.dumps({**LISTED, "sha": 'x"\nevil = "1'}).encode())
@example(listed=b"[" * 100_000)
def test_lists_of_files(listed: bytes, hub: Hostile, tmp_path: Path) -> None:
    """`pin` writes names, revision and digests of the right form into a recipe, or nothing."""
    from pipeline.fetching.pin import look_up
    from pipeline.loading import load_recipe

    hub.status, hub.headers, hub.body, hub.listed = 200, {}, iter_one, listed
    recipe = tmp_path / "mine.toml"
    recipe.write_text(RECIPE)
    found = result_or_error(lambda: look_up(recipe))
    if found is not None:
        recipe.write_text(found.text)
        result_or_error(lambda: load_recipe(recipe))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.toml"]
    assert os.environ["HF_ENDPOINT"] == hub.endpoint


def test_a_list_with_a_path_pins_nothing_outside(hub: Hostile, tmp_path: Path) -> None:
    """A shard whose name climbs out of the folder is not one of the model's files."""
    from pipeline.fetching.pin import look_up

    climbing = {
        "rfilename": "model-/../../../x-of-1.safetensors",
        "size": 4,
        "lfs": {"sha256": "0" * 64, "size": 4, "pointerSize": 1},
    }
    hub.status, hub.headers, hub.body = 200, {}, iter_one
    hub.listed = json.dumps({**LISTED, "siblings": [*LISTED["siblings"], climbing]}).encode()
    recipe = tmp_path / "mine.toml"
    recipe.write_text(RECIPE)
    assert sorted(look_up(recipe).pinned[0].files) == sorted(NAMES)
    hub.listed = json.dumps({**LISTED, "siblings": [climbing]}).encode()
    with pytest.raises(FetchError):
        look_up(recipe)


_DIGEST: Final = "0" * 64
UPLOADED: Final[dict[str, dict[str, Any]]] = {
    "info": {
        "id": "owner/model",
        "sha": REVISION,
        "siblings": [
            {"rfilename": "SHA256SUMS", "size": 5, "blobId": "f" * 40},
            {"rfilename": "a.gguf", "size": 4, "lfs": {"sha256": _DIGEST, "size": 4, "pointerSize": 1}},
        ],
    },
    "create": {"url": "http://127.0.0.1/owner/model", "name": "owner/model"},
    "preupload": {"files": [{"path": "README.md", "uploadMode": "lfs", "shouldIgnore": False, "oid": None}]},
    "batch": {
        "objects": [
            {
                "oid": _DIGEST,
                "size": 4,
                "actions": {"upload": {"href": "http://127.0.0.1:1/", "header": {"chunk_size": "5", "1": "http://["}}},
            }
        ],
        "transfer": "basic",
    },
    "commit": {"commitUrl": "http://127.0.0.1/owner/model/commit/1", "commitOid": REVISION},
}
"""What the endpoints of publishing answer, by their names."""


@pytest.fixture
def uploads(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubUploadServer]:
    """A hub that takes uploads, with a login, in the place of the other."""
    import huggingface_hub
    from huggingface_hub import constants

    folder = tmp_path_factory.mktemp("uploads")
    for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING_FACE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(folder / "no-token"))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    huggingface_hub.close_session()
    with HubUploadServer() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.endpoint)
        yield found
    huggingface_hub.close_session()


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small release."""
    return write_release(tmp_path_factory.mktemp("releases") / "release", release_files(weights=1024))


_ENDPOINT: Final = st.sampled_from(sorted(UPLOADED))


@fuzzed(0.1)
@given(
    answer=_ENDPOINT.flatmap(lambda name: st.tuples(st.just(name), damaged_json(UPLOADED[name]))),
    status=st.sampled_from([200, 200, 201, 204, 302, 400, 401, 409, 412, 429, 500]),
    there=st.booleans(),
)
@example(answer=("info", b"[" * 100_000), status=200, there=True)
@example(
    answer=("info", b'{"id": "a", "sha": "b", "siblings": [{"rfilename": "a", "size": [7]}]}'), status=200, there=True
)
@example(answer=("preupload", b'{"files": 7}'), status=200, there=True)
@example(answer=("batch", b'{"objects": [{"oid": 7, "actions": 7}]}'), status=200, there=True)
@example(answer=("batch", json.dumps(UPLOADED["batch"]).encode()), status=200, there=True)
@example(answer=("commit", json.dumps({"commitOid": "../../x", "commitUrl": 7}).encode()), status=200, there=True)
def test_answers_to_uploads(
    answer: tuple[str, bytes],
    status: int,
    there: bool,  # noqa: FBT001 - a parameter
    uploads: HubUploadServer,
    release: Path,
) -> None:
    """Publishing ends with the release published, or in words that hold no login; each endpoint may answer anything."""
    name, body = answer
    uploads.repositories, uploads.storage, uploads.faults = {}, {}, UploadFaults(bodies={name: body})
    uploads.faults.statuses[name] = [status] * 20
    if there:
        uploads.repositories["owner/model"] = found = Repository("public")
        found.commit("main", {"README.md": b"before", "SHA256SUMS": b"none"})
    told = result_or_error(lambda: run(release, "hf://owner/model", replace=True))
    if told is not None and told.said[-1][0] == "publish.finished":
        files = uploads.repositories["owner/model"].at("main") or {}
        assert {path.name for path in release.iterdir()} <= set(files)


def test_the_hub_takes_uploads_unless_it_is_told_otherwise(uploads: HubUploadServer, release: Path) -> None:
    """What is refused above is refused for its faults."""
    run(release, "hf://owner/model")
    files = uploads.repositories["owner/model"].at("main") or {}
    assert {path.name: path.read_bytes() for path in release.iterdir()} == {
        name: content for name, content in files.items() if name != ".gitattributes"
    }
