"""Compiled kernels stay from job to job. No card is here: the warm-up is another program, the volume is real."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ExecutorError, InterruptedRunError
from pipeline.executors.contract import Request
from pipeline.executors.docker import specification
from pipeline.executors.docker.container import created, run
from pipeline.executors.docker.engine import Engine, Engines
from pipeline.executors.docker.executor import DockerExecutor
from pipeline.executors.docker.kernel_cache import LABEL, KernelCaches, volume_name
from pipeline.executors.docker.owner import labels, reap
from pipeline.executors.docker.specification import Limits, interpreter
from pipeline.executors.events import JobOutput
from pipeline.executors.patience import Patience
from pipeline.images.lock import LLAMA_CPP, LockedImage
from pipeline.settings import RunSettings
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
def llama(image: LockedImage) -> LockedImage:
    """Return the small image as one that has llama.cpp."""
    return dataclasses.replace(image, labels={**image.labels, LLAMA_CPP: "0c1e570"})


@pytest.fixture
def here(llama: LockedImage) -> Iterator[Engine]:
    """Yield the machine's engine; kernels of the small image are gone before and after."""
    engine = Engines({}, lambda *_, **__: None).of(llama.name)
    forget(engine, llama)
    yield engine
    forget(engine, llama)


@pytest.fixture
def request_of(tmp_path: Path) -> Request:
    """Return a job of a stage."""
    return Request("verify-f16", "probe", "inference", {}, {}, tmp_path, tmp_path, {}, 1)


def kept(engine: Engine, image: LockedImage) -> bool:
    """Say whether the engine has a volume for an image's kernels, whatever its labels."""
    return volume_name(image) in {item["Name"] for item in engine.api.volumes().get("Volumes") or ()}


def forget(engine: Engine, image: LockedImage) -> None:
    """Remove the volume."""
    if kept(engine, image):
        engine.api.remove_volume(volume_name(image), force=True)


def say(events: Events) -> Callable[..., None]:
    """Return a listener that keeps what it hears."""
    return lambda event, **data: events.append({"event": event, **data})


def job(engine: Engine, image: LockedImage, mounts: Sequence[specification.Mount], program: str) -> Events:
    """Run a program as a job with these mounts; return what it said."""
    heard: Events = []
    command = [str(interpreter(image)), "-c", program]
    body = specification.container(image, command, mounts, LIMITS, variables={}, labels=labels("run", "stage"))
    with created(engine, {**body, "WorkingDir": "/"}) as container:
        run(container, JobOutput("stage", say(heard)), Patience("stage", threading.Event(), None))
    return heard


def test_kernels_are_compiled_once_and_found_by_later_runs(
    here: Engine, llama: LockedImage, request_of: Request
) -> None:
    """A warm-up in each run, which has nothing to do in the second; the user of the jobs may write there."""
    events: Events = []
    for _ in range(2):
        caches = KernelCaches(say(events), COMPILES)
        mounts = [caches.mounts(here, llama, LIMITS, request_of, threading.Event()) for _ in range(2)]
        reap(here.api)
    assert [event["event"] for event in events] == ["kernels.loading", "kernels.loaded"] * 2
    assert [event["warm"] for event in events if "warm" in event] == [False, True]
    assert all(event["loading"] == "EAGER" for event in events if "loading" in event)
    found = "import json; print(json.dumps({'event': 'found', 'text': open('/cache/cuda/kernels').read()}))"
    assert [event["text"] for event in job(here, llama, mounts[0], found)] == ["compiled compiled "]
    listed = here.api.volumes(filters={"label": f"{LABEL}={llama.id}"})["Volumes"]
    assert [item["Name"] for item in listed] == [volume_name(llama)]


@pytest.mark.parametrize("program", ["raise SystemExit('no card')", "x = bytearray(1 << 30)"])
def test_a_warm_up_that_fails_is_told_and_stops_nothing(
    here: Engine, llama: LockedImage, request_of: Request, program: str
) -> None:
    """The job itself says better what is wrong. It runs without a volume, and none stays behind."""
    events: Events = []
    mounts = KernelCaches(say(events), program).mounts(here, llama, LIMITS, request_of, threading.Event())
    assert events[-1]["event"] == "kernels.failed"
    assert events[-1]["what"]
    assert mounts == []
    job(here, llama, mounts, "pass")
    assert not kept(here, llama)


def test_ctrl_c_ends_a_warm_up(here: Engine, llama: LockedImage, request_of: Request) -> None:
    """It takes minutes on a new card, and for ever with a driver that hangs."""
    cancelled = threading.Event()
    threading.Timer(0.5, cancelled.set).start()
    started = time.monotonic()
    with pytest.raises(InterruptedRunError):
        KernelCaches(say([]), "import time; time.sleep(60)").mounts(here, llama, LIMITS, request_of, cancelled)
    assert time.monotonic() - started < 20  # not the minute that it would take


def test_an_image_without_llama_cpp_has_nothing_to_load(here: Engine, image: LockedImage, request_of: Request) -> None:
    """The training image: no volume, no word."""
    events: Events = []
    assert KernelCaches(say(events)).mounts(here, image, LIMITS, request_of, threading.Event()) == []
    assert events == []


def test_an_engine_without_gpus_keeps_no_volume(here: Engine, llama: LockedImage, tmp_path: Path) -> None:
    """The refusal of the job is what the user sees."""
    settings = RunSettings.model_validate({"docker": {"gpus": "all"}})
    events: Events = []
    bench = DockerBench(tmp_path, DockerExecutor(lambda _: llama, settings, say(events)), here.api)
    with pytest.raises(ExecutorError, match="GPU"):
        bench.run("copy")
    assert [event["event"] for event in events] == ["kernels.loading", "kernels.failed"]
    assert not kept(here, llama)
