"""A release folder, an empty home, and servers on loopback."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.publishing.release import Release, read_release
from tests.support.events import Events
from tests.support.faulty_proxy import FaultyProxy
from tests.support.hub_upload_server import TOKEN, HubUploadServer
from tests.support.registry_server import RegistryServer
from tests.support.release_folder import write_release


@pytest.fixture
def events() -> Events:
    """The events that publishing sent."""
    return Events()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A release folder."""
    return write_release(tmp_path / "release")


@pytest.fixture
def release(folder: Path, events: Events) -> Release:
    """The same, read and verified."""
    return read_release(folder, events)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home: no credentials of whoever runs the tests, in files or in the environment."""
    import os

    for name in list(os.environ):
        if name.startswith(("AWS_", "HF_", "HUGGING_FACE_", "DOCKER_", "REGISTRY_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between two tries."""
    monkeypatch.setattr(time, "sleep", lambda _: None)


@pytest.fixture(scope="session")
def moto() -> Iterator[Any]:
    """An S3 server of moto's on loopback."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def store(moto: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """An empty store with one bucket, behind a proxy with faults, and an account that may write there."""
    import boto3
    import httpx

    _, port = moto.get_host_and_port()
    httpx.post(f"http://127.0.0.1:{port}/moto-api/reset")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "tester-secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}").create_bucket(Bucket="models")
    with FaultyProxy(port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubUploadServer]:
    """An empty hub, and the login of somebody who may write there; the real client without the user's own files."""
    import huggingface_hub
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "user-cache"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    huggingface_hub.close_session()
    with HubUploadServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        yield server
    huggingface_hub.close_session()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[FaultyProxy]:
    """A real, empty registry behind a proxy with faults."""
    with RegistryServer(tmp_path / "registry") as server, FaultyProxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[FaultyProxy]:
    """The same, with logins."""
    with RegistryServer(tmp_path / "registry", logins=True) as server, FaultyProxy(server.port) as proxy:
        yield proxy
