"""What cannot work is refused with words that say what to do."""

from __future__ import annotations

import http.server
import json
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine.connection import connect
from pipeline.errors import EngineError, ExecutorError, ImageError
from pipeline.executors.docker.environments import ImageEnvironments
from pipeline.executors.docker.executor import DockerExecutor
from pipeline.images.lock import LockedImage
from pipeline.settings import Host, RunSettings
from tests.support.docker_bench import DockerBench
from tests.support.engines import rootless_podman

Make = Callable[..., DockerBench]


def bench_with(folder: Path, engine: Any, identity: str) -> DockerBench:
    """A bench whose image is another."""
    locked = LockedImage("training-cpu", identity, {})
    return DockerBench(folder, DockerExecutor(lambda _: locked, RunSettings(), lambda *_, **__: None), engine)


def test_no_engine(tmp_path: Path) -> None:
    """A socket that is not there."""
    with pytest.raises(EngineError, match="there is no container engine") as caught:
        connect(Host(url=f"unix://{tmp_path}/none.sock"))
    assert "--executor local" in caught.value.advice


def test_an_engine_that_was_stopped(short_folder: Path) -> None:
    """The socket is there, nobody listens."""
    socketserver.UnixStreamServer(f"{short_folder}/s", socketserver.BaseRequestHandler).server_close()
    with pytest.raises(EngineError, match="no container engine answers") as caught:
        connect(Host(url=f"unix://{short_folder}/s"))
    assert "start" in caught.value.advice


class OldEngine(http.server.BaseHTTPRequestHandler):
    """Answers like a Docker of 2016."""

    def do_GET(self) -> None:
        """Tell the version."""
        body = json.dumps({"ApiVersion": "1.24"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        """Unix sockets have none."""
        return "socket"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def old_engine(short_folder: Path) -> Iterator[str]:
    """The address of an engine that is too old."""
    with socketserver.UnixStreamServer(f"{short_folder}/s", OldEngine) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"unix://{short_folder}/s"
        server.shutdown()


def test_an_engine_that_is_too_old(old_engine: str) -> None:
    """Both versions are named."""
    with pytest.raises(EngineError, match=r"too old: its API is 1\.24") as caught:
        connect(Host(url=old_engine))
    assert "1.40" in caught.value.advice


@pytest.mark.podman
def test_a_rootless_engine(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On cgroups v1 it forgets limits, on v2 it gives files to another number: told first, with what to use."""
    locked = LockedImage("training-cpu", f"sha256:{64 * '0'}", {})
    executor = DockerExecutor(lambda _: locked, RunSettings(), lambda *_, **__: None)
    with rootless_podman(short_folder) as url:
        monkeypatch.setenv("DOCKER_HOST", url)
        with pytest.raises(EngineError, match=r"cannot limit the memory and processes|another number here") as caught:
            executor.offers("training")
    assert "runs as root" in caught.value.advice


def test_no_rights_on_the_socket(engine: Any) -> None:
    """A user outside the group is told how to join it."""
    if os.getuid() != 0:
        pytest.skip("needs root, to become a user without rights")
    code = (
        "import os; from pipeline.engine.connection import connect, default_host;"
        "os.setgroups([]); os.setuid(65534); connect(default_host())"
    )
    done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, check=False)
    assert "no right to use the container engine" in done.stderr
    assert "usermod -aG docker" in done.stderr


def test_an_image_that_is_not_there(tmp_path: Path, engine: Any) -> None:
    """The digest is named, and how to make it."""
    bench = bench_with(tmp_path, engine, f"sha256:{'0' * 64}")
    with pytest.raises(ImageError, match="sha256:000") as caught:
        bench.run("copy")
    assert caught.value.advice == "run `nox -s images`"


def test_an_image_that_is_not_there_is_found_before_anything_runs(tmp_path: Path, engine: Any) -> None:
    """A run asks for its offers first: no download is spent."""
    with pytest.raises(ImageError):
        bench_with(tmp_path, engine, f"sha256:{'0' * 64}").executor.offers("training")


def test_an_image_under_a_tag(tmp_path: Path, engine: Any, image: LockedImage) -> None:
    """A tag is refused even where it is there: it can move."""
    engine.tag(image.id, "fine-tune-pipeline-test", "moving")
    lock = tmp_path / "images.lock"
    entry = {"id": "fine-tune-pipeline-test:moving", "labels": {}}
    lock.write_text(json.dumps({"format": 1, "images": {"training-cpu": entry}}))
    try:
        with pytest.raises(ImageError, match="a tag can move"):
            ImageEnvironments(lock=lock).prepare("training")
    finally:
        engine.remove_image("fine-tune-pipeline-test:moving")


def test_no_gpu_to_give(make_bench: Make) -> None:
    """Without NVIDIA's runtime the engine refuses at the start; the toolkit is named, and nothing is left."""
    bench = make_bench(docker={"gpus": "all"})
    with pytest.raises(ExecutorError, match="cannot give a GPU") as caught:
        bench.run("copy")
    assert "NVIDIA Container Toolkit" in caught.value.advice
    assert bench.left_over() == []


def test_an_image_without_the_interpreter(tmp_path: Path, engine: Any, image: LockedImage) -> None:
    """The shell's words reach the user."""
    with pytest.raises(ExecutorError, match="/opt/venv/bin/python"):
        bench_with(tmp_path, engine, image.id).run("copy")
