"""What a container is, as data."""

from __future__ import annotations

from typing import Any

from pipeline.executors.docker.specification import Limits, container, interpreter, job_command, job_user
from pipeline.images.lock import LockedImage
from pipeline.settings import DockerSettings

IMAGE = LockedImage("training-cpu", f"sha256:{'a' * 64}", {})


def body(limits: Limits = Limits(1 << 30, 64)) -> dict[str, Any]:  # noqa: B008 - frozen
    """A container's description."""
    return container(IMAGE, job_command(interpreter(IMAGE)), [], limits, variables={"B": "2", "A": "1"}, labels={})


def test_everything_that_keeps_a_job_in_is_said() -> None:
    """None of it is left to an engine's defaults."""
    host = body()["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["NetworkMode"] == "none"
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (1 << 30, 1 << 30, 64)
    assert {"exec", "nosuid", "nodev"} <= set(host["Tmpfs"]["/tmp"].split(","))  # noqa: S108 - the container's own


def test_a_job_is_never_root() -> None:
    """The host user's own number, and 1000 for root."""
    assert job_user()[0] != 0
    assert body()["User"] == "{}:{}".format(*job_user())


def test_the_image_is_named_by_its_digest() -> None:
    """Nothing else can name it."""
    assert body()["Image"] == IMAGE.id


def test_the_image_may_name_its_interpreter() -> None:
    """A label does; without one it is where our images have it."""
    assert str(interpreter(IMAGE)) == "/opt/venv/bin/python"
    other = LockedImage("x", "y", {"fine-tune-pipeline.python": "/usr/bin/python3"})
    assert str(interpreter(other)) == "/usr/bin/python3"


def test_no_gpu_is_asked_for_unless_the_settings_do() -> None:
    """An engine without GPUs refuses any request."""
    assert body()["HostConfig"]["DeviceRequests"] == []


def test_gpus_by_number_name_or_all() -> None:
    """The engine's own words for each."""
    chosen = body(Limits(1, 64, ("0", "GPU-1b2c")))["HostConfig"]["DeviceRequests"]
    assert [item["DeviceIDs"] for item in chosen] == [["0", "GPU-1b2c"]]
    assert [item["Count"] for item in body(Limits(1, 64, ("all",)))["HostConfig"]["DeviceRequests"]] == [-1]


def test_memory_is_what_the_settings_say_or_most_of_the_engines() -> None:
    """A job must not take the machine down with it."""
    assert Limits.of(DockerSettings(memory="12g"), 10**9).memory_bytes == 12 << 30
    assert Limits.of(DockerSettings(), 10**9).memory_bytes == 9 * 10**8
