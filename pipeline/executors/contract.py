"""What every executor is given and must answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

EventSink = Callable[..., None]
"""Called as `sink("train.step", done=1, total=63)` for every event of a job, from any thread."""


@dataclass(frozen=True)
class Tracking:
    """What watches a training from within its job: in no key, and nothing of it is in an artifact.

    `names` are the trackers, `packages` the folder of their packages, which the job's interpreter sees behind its own
    and may only read, `folder` an existing folder with one for each tracker, which the job may write to.
    """

    names: tuple[str, ...]
    project: str
    packages: Path
    folder: Path


@dataclass(frozen=True)
class Request:
    """One job.

    `inputs` maps each input's name to its files: path inside the input → file on this host.
    `code` maps paths in the package `inside` to source files, `code_sha256` the same paths to the digests
    that the key names. `folders` are whole read-only folders (the llama.cpp tree). `work` is an empty
    folder that the executor may use and that the caller removes; the result lies in `work / "output"`.
    `tracking` is what watches it, if anything does. `run` names the run that it belongs to. `alone` says that no other
    job runs beside it.
    """

    stage: str
    program: str
    environment: str
    parameters: Mapping[str, Any]
    inputs: Mapping[str, Mapping[str, Path]]
    work: Path
    scratch: Path
    variables: Mapping[str, str]
    threads: int
    folders: Mapping[str, Path] = field(default_factory=dict)
    code: Mapping[str, Path] = field(default_factory=dict)
    code_sha256: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float | None = None
    run: str = ""
    alone: bool = False
    tracking: Tracking | None = None


class Environments(Protocol):
    """What an executor's jobs run in, by the names that stages use: `training`, `inference`."""

    def is_ready(self, name: str) -> bool:
        """Say, without making anything, whether `identity` can answer."""
        ...

    def prepare(self, name: str, *, thorough: bool = False) -> None:
        """Make an environment ready, and sure that it is what its lock says; `thorough` trusts no time stamp.

        Raises EnvironmentSetupError or ImageError.
        """
        ...

    def identity(self, name: str) -> Mapping[str, str]:
        """Return what counts in the key of a stage that runs here: equal identities give equal bytes."""
        ...

    def watched(self, name: str) -> list[Path]:
        """Return the files that move when the environment does, for the quick answer of an unchanged run."""
        ...


class Executor(Protocol):
    """Runs one job at a time per call; calls may come from several threads."""

    def offers(self, environment: str) -> frozenset[str]:
        """Return which of `unsloth` and `bitsandbytes` (both with a CUDA GPU) an environment has here.

        Asked before anything runs, so a PipelineError raised here costs nobody a download or a training.
        """
        ...

    def run(self, request: Request, sink: EventSink, cancelled: threading.Event) -> Path:
        """Run a job to its end and return the folder that it filled.

        Raises StageError for a problem that the job reported, ExecutorError when it crashed, was
        killed, or ran out of time or memory, and InterruptedRunError when `cancelled` was set. No
        process of the job is left in any of these cases.
        """
        ...


@dataclass(frozen=True)
class Backend:
    """A way to run stages: where jobs run, and what starts them. `executors/table.py` has one for each name."""

    environments: Environments
    executor: Executor
