"""The builders: the same commands on the same sources, each under conditions of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pipeline.environments import REPOSITORY
from pipeline.releasing.checkout import checkout_of
from tests.support.elsewhere import Conditions, at_another_time_and_by_another_user, elsewhere

HOST: Final = REPOSITORY / ".envs" / "host" / "bin" / "python"


class CannotBuildError(Exception):
    """This builder is not possible on this machine; the message says why."""


@dataclass(frozen=True)
class Builder:
    """One builder: its name, its build folder, the clone whose code it runs, and how its commands are started.

    `inside` are the words before each command that put it into another root; `options` go to each run.
    """

    name: str
    build: Path
    project: Path = REPOSITORY
    python: Path = HOST
    inside: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    conditions: Conditions = field(default_factory=Conditions)

    def call(self, command: str, *arguments: str, log: Path, own: bool = True) -> None:
        """Run `python -m pipeline COMMAND` to its end, its output into `log`. Raises CannotBuildError with its end.

        `own` starts it under the builder's conditions.
        """
        there = self.conditions if own else Conditions()
        words = [*self.inside, *there.prefix, str(self.python), "-m", "pipeline", command]
        words += ["--build", str(self.build), "--log", "json", *arguments]
        with log.open("ab") as stream:
            done = subprocess.run(
                words,
                cwd=self.project,
                env={**os.environ, **there.variables},
                umask=there.umask,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise CannotBuildError(f"{command} ended with {done.returncode}:\n{tail(log)}")


def tail(log: Path, lines: int = 6) -> str:
    """Return the last lines of a log, each shortened."""
    text = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(line[:300] for line in text[-lines:])


def usual(folder: Path) -> Builder:
    """Build as a user does."""
    return Builder("usual", folder / "usual" / "build")


def other(folder: Path) -> Builder:
    """Build in a folder with a space and an umlaut, on one processor, years later, as another user."""
    programs = folder / "other" / "programs"
    shutil.rmtree(programs, ignore_errors=True)
    there = at_another_time_and_by_another_user(elsewhere(), programs)
    return Builder("other", folder / "other" / "a folder" / "bûild", conditions=there)


_ASKED = """
import sys
from pipeline.errors import PipelineError
from pipeline.executors.docker.environments import ImageEnvironments
from pipeline.executors.docker.executor import DockerExecutor
from pipeline.settings import RunSettings
executor = DockerExecutor(ImageEnvironments().image, RunSettings(), lambda *_, **__: None)
try:
    for environment in ("training", "inference"):
        executor.offers(environment)
except PipelineError as error:
    sys.exit(f"{error.what}: {error.where}")
"""
"""What a run asks before its first job: whether an engine answers and has the images of the lock, on whichever base."""


def containers(folder: Path) -> Builder:
    """Build in containers. Raises CannotBuildError without an engine, or without the images of the lock."""
    done = subprocess.run([str(HOST), "-c", _ASKED], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotBuildError((done.stderr.strip() or done.stdout.strip()).splitlines()[-1])
    return Builder("containers", folder / "containers" / "build", options=("--executor", "docker"))


def sources(folder: Path, environ: Mapping[str, str] | None = None) -> Path:
    """Return a clone of this project's commit in `folder`, for a builder with environments of its own.

    One that is there is kept, with its environments, while it is that commit and nothing of it was changed.
    """
    clone = folder / "checkout"
    there = checkout_of(clone)
    if not there.commit or there.changes or there.commit != checkout_of(REPOSITORY).commit:
        shutil.rmtree(clone, ignore_errors=True)
        variables = {name: value for name, value in (environ or os.environ).items() if not name.startswith("GIT_")}
        command = ["git", "clone", "--quiet", "--no-local", str(REPOSITORY), str(clone)]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(clone, ignore_errors=True)
            raise CannotBuildError(f"the project could not be cloned: {done.stderr.strip()}")
    return clone
