"""What the end of a job's container means: the exit code alone does not tell about memory, processes and folders."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

from pipeline.errors import ExecutorError
from pipeline.executors.docker.specification import Limits
from pipeline.executors.events import JobOutput

_WHERE = "[docker] in run.toml"


def judge(stage: str, state: Mapping[str, Any], output: JobOutput, limits: Limits) -> None:
    """Raise what a container's last state means; return on success.

    A job whose helper was killed for memory can still end with 0; its result is not to be trusted.
    """
    if state.get("OOMKilled"):
        message = f"{stage}: out of memory: the job needs more than its {limits.memory_bytes / 1e9:.1f} GB"
        raise ExecutorError(message, where=f"memory, {_WHERE}", advice="raise it, or lower batch_size in the recipe")
    if output.failure is not None:
        output.failure = _advised(output.failure, limits)
    output.judge(int(state["ExitCode"]))


def _advised(failure: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """Add what to do about a refusal of the container's own."""
    advice = {
        errno.EAGAIN: f"it may have {limits.pids} processes and threads: pids, {_WHERE}",
        errno.EROFS: "a job writes only to its output folder, its scratch folder and /tmp",
        errno.ENOSPC: "free space on the engine's disk; /tmp counts as memory of the job",
    }.get(failure.get("errno", 0))
    return {**failure, "advice": advice} if advice and not failure.get("advice") else dict(failure)
