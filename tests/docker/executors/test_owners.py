"""Containers of killed clients are found and removed by the next run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.executors.docker.owner import labels, reap
from pipeline.images.lock import LockedImage
from tests.support.docker_bench import DockerBench

CLIENT = """
import sys
from pathlib import Path
from pipeline.executors.docker.executor import DockerExecutor
from pipeline.images.lock import LockedImage
from pipeline.settings import RunSettings
from tests.support.executor_contract import Bench
image = LockedImage("training-cpu", sys.argv[2], {"fine-tune-pipeline.python": "/usr/bin/python3"})
bench = Bench(Path(sys.argv[1]), DockerExecutor(lambda _: image, RunSettings(), lambda *_, **__: None))
bench.run("hang")
"""


def containers_of(engine: Any, pid: int) -> list[Any]:
    """Return the containers of one client."""
    return list(engine.containers(all=True, filters={"label": f"fine-tune-pipeline.owner-pid={pid}"}))


def test_a_killed_clients_container_is_removed_by_the_next_run(
    tmp_path: Path, engine: Any, image: LockedImage, make_bench: Callable[..., DockerBench]
) -> None:
    """SIGKILL, for real: the container runs on until somebody else starts a job."""
    client = subprocess.Popen([sys.executable, "-c", CLIENT, tmp_path, image.id])
    deadline = time.monotonic() + 20
    while not any(item["State"] == "running" for item in containers_of(engine, client.pid)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    client.send_signal(signal.SIGKILL)
    client.wait()
    assert len(containers_of(engine, client.pid)) == 1
    make_bench().run("copy")
    assert containers_of(engine, client.pid) == []


def test_containers_of_others_stay(engine: Any, image: LockedImage) -> None:
    """Those of a living client, of another machine, and of other programs are left alone."""
    mine = labels("run", "stage")
    kinds = [mine, {**mine, "fine-tune-pipeline.owner-host": "elsewhere"}, {"somebody": "else"}]
    made = [engine.create_container(image.id, ["true"], labels=kind)["Id"] for kind in kinds]
    try:
        reap(engine)
        assert set(made) <= {item["Id"] for item in engine.containers(all=True)}
    finally:
        for identity in made:
            engine.remove_container(identity)


def test_volumes_of_killed_clients_go_too(engine: Any) -> None:
    """A number that was given to another process since is no sign of life."""
    gone = {**labels("run", "stage"), "fine-tune-pipeline.owner-started": "another boot/1"}
    name = engine.create_volume(labels=gone)["Name"]
    reap(engine)
    assert name not in {item["Name"] for item in engine.volumes()["Volumes"] or ()}


def test_a_container_says_whose_it_is(engine: Any, make_bench: Callable[..., DockerBench]) -> None:
    """Project, run, stage, and the process with its beginning."""
    bench = make_bench()
    seen: list[dict[str, str]] = []

    def sink(event: str, **_: object) -> None:
        if event == "probe.step":
            seen.extend(item["Labels"] for item in containers_of(engine, os.getpid()))

    bench.sink = sink  # type: ignore[method-assign]
    bench.run("copy")
    for found in seen:
        assert found["fine-tune-pipeline.run"] == f"run-of-{os.getpid()}"
        assert found["fine-tune-pipeline.stage"] == "probe"
        assert found["fine-tune-pipeline.owner-started"]
