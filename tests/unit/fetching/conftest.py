"""A hub on loopback, a client that can reach nothing else, and a job to fetch into."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.stages.stage import HostJob
from tests.support.events import Events
from tests.support.hub_server import REVISION, HubServer
from tests.support.model_folder import model_files


@pytest.fixture
def events() -> Events:
    """The events that the job under test sent."""
    return Events()


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The real client of the hub without the user's login, cache and patience."""
    import huggingface_hub
    from huggingface_hub import constants

    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "user-cache"))
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.5)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)  # 10 MB: more than these models have
    monkeypatch.setattr(time, "sleep", lambda _: None)
    huggingface_hub.close_session()
    yield
    huggingface_hub.close_session()


@pytest.fixture
def hub(client: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub that holds one small model."""
    with HubServer(model_files(weights=400_000)) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        yield server


@pytest.fixture
def job(tmp_path: Path, events: Events) -> Callable[..., HostJob]:
    """Make a job with a fresh output folder; scratch is the same for every job of a test."""
    count = 0

    def make(**parameters: Any) -> HostJob:
        nonlocal count
        count += 1
        output = tmp_path / f"output-{count}"
        output.mkdir()
        (tmp_path / "scratch").mkdir(exist_ok=True)
        return HostJob(parameters=parameters, inputs={}, output=output, scratch=tmp_path / "scratch", emit=events)

    return make


@pytest.fixture
def hub_job(hub: HubServer, job: Callable[..., HostJob]) -> Callable[..., HostJob]:
    """Make a job that fetches the hub's model, everything pinned right unless a test says otherwise."""

    def make(**changes: Any) -> HostJob:
        names = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors")
        pins = {name: hub.pins()[name] for name in names if name in hub.files}
        parameters = {
            "source": "hub", "repo": hub.repo, "revision": REVISION,
            "files": pins, "licence": "Apache-2.0", "quantized": False,
        }  # fmt: skip
        return job(**{**parameters, **changes})

    return make
