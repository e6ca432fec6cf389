"""What a job's container is: pure data, in the words of the engine's API. All that keeps a job in stands here."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pipeline.images.lock import PYTHON, LockedImage
from pipeline.settings import DockerSettings

GIVEN = PurePosixPath("/job")
"""Folder of what a job is given: all of it read-only."""

MADE = PurePosixPath("/work")
"""Folder of what a job makes: `output` and `scratch`."""

PACKAGES = GIVEN / "trackers"
"""The trackers' packages, read-only."""

TRACKED = MADE / "trackers"
"""Where trackers write."""

HOME = PurePosixPath("/cache")
"""Where our images expect every cache (`TRITON_CACHE_DIR` and its like); empty at the start of each job.

A folder, not memory: runc gives a tmpfs over an existing folder that folder's mode, so that only root could write.
"""

TEMPORARY = PurePosixPath("/tmp")  # noqa: S108 - the container's own
_SHARED_MEMORY_BYTES = 1 << 30
_OPEN_FILES = 16384
"""Said, because engines differ: Docker hands on its own limit, Podman asks for a million and fails where it may not."""

_DEFAULT_MEMORY_SHARE = 0.9
"""Share of the engine's memory that a job may take unless run.toml says more: the machine itself must live on."""

_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_JOB_USER = 1000

Mount = Mapping[str, Any]


@dataclass(frozen=True)
class Limits:
    """What one job may use up."""

    memory_bytes: int
    pids: int
    gpus: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: DockerSettings, engine_memory_bytes: int) -> Limits:
        """Return the limits that run settings mean on an engine."""
        if settings.memory is None:
            memory = int(engine_memory_bytes * _DEFAULT_MEMORY_SHARE)
        else:
            memory = int(settings.memory[:-1]) * _UNITS[settings.memory[-1]]
        return cls(memory, settings.pids, settings.gpus)


def job_user() -> tuple[int, int]:
    """Return the user and group that jobs run as: this process's own, so that files stay theirs; never root."""
    return (os.getuid(), os.getgid()) if os.getuid() != 0 else (_JOB_USER, _JOB_USER)


def interpreter(image: LockedImage) -> PurePosixPath:
    """Return the Python of an image."""
    return PurePosixPath(image.labels.get(PYTHON, "/opt/venv/bin/python"))


def job_command(python: PurePosixPath) -> list[str]:
    """Return the command of a job.

    A shell comes first, because the first process of a container ignores signals that it does not handle,
    even its own SIGKILL, and so that orphans are waited for.
    """
    return ["/bin/sh", "-c", '"$@"; exit $?', "job", str(python), "-B", "-m", "inside", str(GIVEN / "request.json")]


def container(
    image: LockedImage,
    command: Sequence[str],
    mounts: Sequence[Mount],
    limits: Limits,
    *,
    variables: Mapping[str, str],
    labels: Mapping[str, str],
) -> dict[str, Any]:
    """Return the body of the engine's `POST /containers/create`."""
    user, group = job_user()
    return {
        "Image": image.id,
        "Entrypoint": list(command),
        "Cmd": [],
        "Env": [f"{name}={value}" for name, value in sorted(variables.items())],
        "User": f"{user}:{group}",
        "WorkingDir": str(GIVEN / "code"),
        "Hostname": "job",
        "Labels": dict(labels),
        "AttachStdout": True,
        "AttachStderr": True,
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": _host_config(mounts, limits),
    }


def _host_config(mounts: Sequence[Mount], limits: Limits) -> dict[str, Any]:
    return {
        "Mounts": list(mounts),
        "NetworkMode": "none",
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "Memory": limits.memory_bytes,
        "MemorySwap": limits.memory_bytes,  # the two together: no swap on top
        "PidsLimit": limits.pids,
        "ShmSize": _SHARED_MEMORY_BYTES,
        "Tmpfs": {str(TEMPORARY): "rw,exec,nosuid,nodev,mode=1777"},  # exec: Triton loads what it has compiled
        "Ulimits": [
            {"Name": "core", "Soft": 0, "Hard": 0},
            {"Name": "nofile", "Soft": _OPEN_FILES, "Hard": _OPEN_FILES},
            {"Name": "nproc", "Soft": 32768, "Hard": 32768},
        ],
        "LogConfig": {"Type": "none", "Config": {}},  # the run's log has every line
        "DeviceRequests": _device_requests(limits.gpus),
    }


def _device_requests(gpus: tuple[str, ...]) -> list[dict[str, Any]]:
    if not gpus:
        return []
    request: dict[str, Any] = {"Driver": "", "Capabilities": [["gpu"]], "Options": {}}
    return [{**request, "Count": -1} if "all" in gpus else {**request, "DeviceIDs": list(gpus)}]
