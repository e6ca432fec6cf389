"""Whose a container is, so that those of killed clients are found and removed by the next run."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docker.errors import APIError

PROJECT = "fine-tune-pipeline"
_PROJECT, _RUN, _STAGE = f"{PROJECT}.project", f"{PROJECT}.run", f"{PROJECT}.stage"
_HOST, _PID, _STARTED = f"{PROJECT}.owner-host", f"{PROJECT}.owner-pid", f"{PROJECT}.owner-started"


def labels(run: str, stage: str) -> dict[str, str]:
    """Return the labels of everything that this process makes on an engine."""
    pid = os.getpid()
    return {
        _PROJECT: PROJECT,
        _RUN: run,
        _STAGE: stage,
        _HOST: socket.gethostname(),
        _PID: str(pid),
        _STARTED: started(pid) or "",
    }


def started(pid: int, proc: Path = Path("/proc")) -> str | None:
    """Return when a process began (boot and clock ticks since), None when it is gone or a zombie.

    Process numbers are used again; a number together with its beginning is not.
    """
    try:
        fields = (proc / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
        boot = (proc / "sys" / "kernel" / "random" / "boot_id").read_text().strip()
    except OSError:
        return None
    return None if fields[0] in "ZX" else f"{boot}/{fields[19]}"  # proc(5): field 3 is the state, 22 the start


def is_orphan(found: Mapping[str, str]) -> bool:
    """Say whether labels name a process of this machine that has ended. Of other machines nothing is known."""
    if found.get(_HOST) != socket.gethostname() or not found.get(_STARTED):
        return False
    return started(int(found[_PID])) != found[_STARTED]


def reap(api: Any) -> int:
    """Remove containers and volumes of ended owners; return how many containers there were."""
    wanted = {"label": f"{_PROJECT}={PROJECT}"}
    containers = [item for item in api.containers(all=True, filters=wanted) if is_orphan(item["Labels"])]
    for item in containers:
        with contextlib.suppress(APIError):  # somebody else reaps it at this moment
            api.remove_container(item["Id"], force=True, v=True)
    for item in api.volumes(filters=wanted).get("Volumes") or ():
        if is_orphan(item.get("Labels") or {}):
            with contextlib.suppress(APIError):
                api.remove_volume(item["Name"], force=True)
    return len(containers)
