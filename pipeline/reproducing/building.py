"""The build of a checkout: its own environments, its own code, a store of its own. Nothing here is imported from it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llama_cpp_vendor.fetch import ARCHIVE_VARIABLE
from pipeline.artifact import Manifest
from pipeline.digest import digest_file
from pipeline.environments import llama_cpp_cache
from pipeline.errors import EnvironmentSetupError
from pipeline.runs import read_state
from pipeline.store import Store

Emit = Callable[..., None]
_STOPPING_S = 30
"""Longest wait for a stopped run to end its jobs and to write down what it did."""
_OURS = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP")
"""Variables that would bring code of another place into the build."""


@dataclass(frozen=True)
class Workshop:
    """Where a release is built again.

    `archive` is llama.cpp's, `hub` a cache of the hub, where they are at hand. `fresh` takes no package from a cache
    and no compiled llama.cpp.
    """

    checkout: Path
    recipe: Path
    build: Path
    archive: Path | None = None
    hub: Path | None = None
    fresh: bool = False

    @property
    def python(self) -> Path:
        """The interpreter of the checkout's own host environment."""
        return self.checkout / ".envs" / "host" / "bin" / "python"

    def variables(self) -> dict[str, str]:
        """Return the variables of everything that runs here."""
        found = {name: value for name, value in os.environ.items() if name not in _OURS}
        if self.archive is not None:
            found[ARCHIVE_VARIABLE] = str(self.archive)
        if self.hub is not None:
            found["HF_HUB_CACHE"] = str(self.hub)
        if self.fresh:
            found |= {"UV_NO_CACHE": "1", "PIP_NO_CACHE_DIR": "1"}
        return found


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code, and the event `run.failed` (or what it printed last) where it did not succeed."""

    code: int
    problem: Mapping[str, Any]


def take_wheels(workshop: Workshop, sha256: str, cache: Path | None = None) -> bool:
    """Copy the compiled llama.cpp of this clone into the checkout if it is, byte for byte, the one of the release.

    Compiling takes minutes, and the digest says that nothing else would come out. Returns whether there was one.
    """
    for record in sorted((cache or llama_cpp_cache()).glob("wheels/*/wheel.json")):
        target = llama_cpp_cache(workshop.checkout / ".envs") / "wheels" / record.parent.name
        try:
            wheel = record.parent / str(json.loads(record.read_bytes())["file"])
            if sha256 and wheel.parent == record.parent and digest_file(wheel) == sha256:
                shutil.copytree(record.parent, target, dirs_exist_ok=True)
                return True
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return False


def make_host_environment(workshop: Workshop, emit: Emit) -> None:
    """Make the checkout's host environment from its own lock. Raises EnvironmentSetupError."""
    code, lines = _stream(
        [sys.executable, "-m", "pipeline.environments", "host"], workshop, lambda line: _tell(line, emit)
    )
    if code:
        message = "the host environment of the checkout could not be made:\n" + "\n".join(lines[-8:])
        raise EnvironmentSetupError(
            message, where=str(workshop.checkout), advice="see above; run again: what was made is kept"
        )


def build(workshop: Workshop, options: Sequence[str], pass_on: Callable[[dict[str, Any]], None]) -> Ended:
    """Run the recipe in the checkout, by the checkout's own code; every event goes to `pass_on`."""
    problem: dict[str, Any] = {}

    def event(line: str) -> None:
        told = _event(line)
        if told is None:
            return
        if told["event"] == "run.failed":
            problem.update(told)
        pass_on(told)

    command = [str(workshop.python), "-m", "pipeline", "run", "--log", "json"]
    command += ["--recipe", str(workshop.recipe), "--build", str(workshop.build), *options]
    code, lines = _stream(command, workshop, event)
    if code and not problem:
        told = [line for line in lines if not line.startswith("{")]
        problem.update(what="\n".join(told[-8:]) or "the run said nothing", where=str(workshop.build), advice="")
    return Ended(code, problem)


def built_manifests(build: Path, recipe: str) -> dict[str, Manifest]:
    """Return stage → manifest of a recipe's last build, complete or not."""
    store = Store((build / "store").absolute())
    found = {stage: store.manifest(key) for stage, key in read_state(build, recipe)["stages"].items()}
    return {stage: manifest for stage, manifest in found.items() if manifest is not None}


def difference(workshop: Workshop, first: Path, second: Path) -> dict[str, Any]:
    """Return how two files differ, as `python -m pipeline diff` says; empty where it cannot say."""
    found: list[dict[str, Any]] = []

    def event(line: str) -> None:
        told = _event(line)
        if told is not None and told["event"] == "diff.finished":
            found.extend(file for part in told["parts"] for file in part["files"])

    command = [str(workshop.python), "-m", "pipeline", "diff", "--log", "json", "--build", str(workshop.build)]
    _stream([*command, str(first.absolute()), str(second.absolute())], workshop, event)
    return found[0] if found else {}


def _stream(command: list[str], workshop: Workshop, tell: Callable[[str], None]) -> tuple[int, list[str]]:
    """Run a command in the checkout, `tell` each line as it comes; return its exit code and its last lines."""
    lines: list[str] = []
    with subprocess.Popen(
        command,
        cwd=workshop.checkout,
        env=workshop.variables(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            for line in process.stdout or ():
                lines = [*lines[-50:], line.rstrip("\n")]
                tell(lines[-1])
            return process.wait(), lines
        except BaseException:
            _stop(process)
            raise


def _stop(process: subprocess.Popen[str]) -> None:
    """Let a run end its jobs, and wait for it."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOPPING_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _event(line: str) -> dict[str, Any] | None:
    """Return the event that a line of JSON is, None for any other line."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("event"), str) else None


def _tell(line: str, emit: Emit) -> None:
    """Pass on a line of `python -m pipeline.environments`: an event's name and its data as words."""
    name, *words = line.split()
    data: dict[str, Any] = dict(word.split("=", 1) for word in words if "=" in word)
    if name == "environment.ready" and "seconds" in data:
        emit(name, **{**data, "seconds": float(data["seconds"])})
    elif name == "environment.creating":
        emit(name, **data)
