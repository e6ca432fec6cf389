"""Compiled kernels stay from job to job. No card is here: the warm-up is another program, the volume is real."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ExecutorError
from pipeline.executors.contract import Request
from pipeline.executors.docker import specification
from pipeline.executors.docker.container import created, run
from pipeline.executors.docker.engine import Engine, Engines
from pipeline.executors.docker.kernel_cache import FOLDER, KernelCaches
from pipeline.executors.docker.owner import labels, reap
from pipeline.executors.docker.specification import Limits, interpreter
from pipeline.executors.events import JobOutput
from pipeline.executors.patience import Patience
from pipeline.images.lock import LockedImage
from tests.support.docker_bench import DockerBench

LIMITS = Limits(1 << 28, 64)

COMPILES = """
import json, os, time
path = os.environ["CUDA_CACHE_PATH"] + "/kernels"
warm = os.path.exists(path)
open(path, "a").write("compiled ")
loading = os.environ["CUDA_MODULE_LOADING"]
print(json.dumps({"event": "kernels.loaded", "seconds": 0.1, "warm": warm, "loading": loading}))
"""
"""Stands for the driver: it writes where the driver would."""

Events = list[dict[str, Any]]


@pytest.fixture
def here(image: LockedImage) -> Iterator[Engine]:
    """Yield the machine's engine; kernels of the small image are gone before and after."""
    engine = Engines({}, lambda *_, **__: None).of(image.name)

    def forget() -> None:
        for item in engine.api.volumes(filters={"label": "fine-tune-pipeline.kernels-of"}).get("Volumes") or ():
            if image.id in item["Labels"].values():
                engine.api.remove_volume(item["Name"], force=True)

    forget()
    yield engine
    forget()


@pytest.fixture
def request_of(tmp_path: Path) -> Request:
    """Return a job of a stage."""
    return Request("verify-f16", "probe", "inference", {}, {}, tmp_path, tmp_path, {}, 1)


def say(events: Events) -> Callable[..., None]:
    """Return a listener that keeps what it hears."""
    return lambda event, **data: events.append({"event": event, **data})


def read(engine: Engine, image: LockedImage, mount: specification.Mount) -> str:
    """Return what a job finds in its cache of kernels."""
    heard: Events = []
    text = f"import json; print(json.dumps({{'event': 'found', 'text': open('{FOLDER}/kernels').read()}}))"
    command = [str(interpreter(image)), "-c", text]
    body = specification.container(image, command, [mount], LIMITS, variables={}, labels=labels("run", "stage"))
    with created(engine, {**body, "WorkingDir": "/"}) as container:
        run(container, JobOutput("stage", say(heard)), Patience("stage", threading.Event(), None))
    return str(heard[0]["text"])


def test_kernels_are_compiled_once_and_found_by_later_runs(
    here: Engine, image: LockedImage, request_of: Request
) -> None:
    """A warm-up in each run, which has nothing to do in the second; the user of the jobs may write there."""
    events: Events = []
    for _ in range(2):
        caches = KernelCaches(say(events), COMPILES)
        mounts = [caches.mount(here, image, LIMITS, request_of) for _ in range(2)]
        reap(here.api)
    assert mounts[0] == mounts[1]
    assert [event["event"] for event in events] == ["kernels.loading", "kernels.loaded"] * 2
    assert [event["warm"] for event in events if "warm" in event] == [False, True]
    assert all(event["loading"] == "EAGER" for event in events if "loading" in event)
    assert read(here, image, mounts[0]) == "compiled compiled "


def test_a_warm_up_that_fails_is_told_and_stops_nothing(here: Engine, image: LockedImage, request_of: Request) -> None:
    """The job itself says better what is wrong; no volume stays behind."""
    events: Events = []
    KernelCaches(say(events), "raise SystemExit('no card')").mount(here, image, LIMITS, request_of)
    assert [event["event"] for event in events if event["event"].startswith("kernels")][-1] == "kernels.failed"
    assert not here.api.volumes(filters={"label": f"fine-tune-pipeline.kernels-of={image.id}"}).get("Volumes")


def test_an_image_without_llama_cpp_has_nothing_to_load(here: Engine, image: LockedImage, request_of: Request) -> None:
    """The training image: the real warm-up ends at once and says nothing."""
    events: Events = []
    KernelCaches(say(events)).mount(here, image, LIMITS, request_of)
    assert [event["event"] for event in events] == ["kernels.loading"]


def test_an_engine_without_gpus_keeps_no_volume(
    here: Engine, image: LockedImage, make_bench: Callable[..., DockerBench]
) -> None:
    """The refusal of the job is what the user sees."""
    with pytest.raises(ExecutorError, match="GPU"):
        make_bench(docker={"gpus": "all"}).run("copy")
    assert not here.api.volumes(filters={"label": f"fine-tune-pipeline.kernels-of={image.id}"}).get("Volumes")


def test_limits_reach_the_warm_up(here: Engine, image: LockedImage, request_of: Request) -> None:
    """It is a container like any other: too little memory for it is no reason to stop."""
    events: Events = []
    tight = dataclasses.replace(LIMITS, memory_bytes=16 << 20)
    KernelCaches(say(events), "x = bytearray(1 << 28)").mount(here, image, tight, request_of)
    assert events[-1]["event"] == "kernels.failed"
