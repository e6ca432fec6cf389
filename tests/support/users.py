"""Other users of this machine: processes with another number, a group in common, and no rights of root."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from pipeline.executors.contract import Backend
from pipeline.executors.local import LocalExecutor
from tests.support.engines import missing

REPOSITORY: Final = Path(__file__).resolve().parents[2]
TEAM: Final = 54300
"""Number of the group that they have in common."""


@dataclass(frozen=True)
class User:
    """A user, and the recipe and build folder that they work on."""

    number: int
    folder: Path
    umask: int = 0o002

    @property
    def build(self) -> Path:
        """The build folder."""
        return self.folder / "build"

    def run(self, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Give the command `run`."""
        return self.command("run", *arguments, prefix=prefix)

    def command(self, name: str, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Give a command on the build folder, and on the recipe where it takes one; with events as JSON."""
        rest = [name, "--build", str(self.build), "--log", "json"]
        rest += [] if name == "gc" else ["--recipe", str(self.folder / "few.toml")]
        return subprocess.run(
            [*prefix, *interpreter(), "-m", "tests.support.users", *rest, *arguments],
            cwd=REPOSITORY,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **_packages()},
            user=self.number,
            group=self.number,
            extra_groups=[TEAM],
            umask=self.umask,
            capture_output=True,
            text=True,
            check=False,
        )


@cache
def interpreter() -> tuple[str, ...]:
    """Return an interpreter of this version that any user may start; without one, or without root, see `missing`."""
    if os.geteuid() != 0:
        missing("to be another user needs root")
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    code = f"import sys, pipeline.commands.run; sys.exit('%d.%d' % sys.version_info[:2] != '{ours}')"
    found = [
        python for python in (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3") if _serves(python, code)
    ]
    if not found:
        missing(f"no Python {ours} that other users may start, or they may not enter {REPOSITORY}")
    return (found[0],)


def _serves(python: str, code: str) -> bool:
    """Say whether another user can run a code with an interpreter."""
    nobody: dict[str, Any] = {"user": 54321, "group": 54321, "extra_groups": []}
    try:
        done = subprocess.run(
            [python, "-c", code], cwd=REPOSITORY, env=_packages(), capture_output=True, check=False, **nobody
        )
    except OSError:
        return False  # there is none, or it lies in a folder that they may not enter
    return done.returncode == 0


def _packages() -> dict[str, str]:
    return {"PYTHONPATH": sysconfig.get_path("purelib"), "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def shared_folder(text: str, rows: list[dict[str, str]]) -> Iterator[Path]:
    """Make a folder that the team may write to, with a recipe; its build folder hands the group on."""
    folder = Path(tempfile.mkdtemp(prefix="shared-"))
    try:
        (folder / "few.toml").write_text(text, encoding="utf-8")
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / "rows.jsonl").write_text(lines, encoding="utf-8")
        (folder / "build").mkdir()
        os.chown(folder / "build", 0, TEAM)
        folder.chmod(0o755)
        for path in folder.iterdir():
            path.chmod(0o2775 if path.is_dir() else 0o644)
        yield folder
    finally:
        shutil.rmtree(folder)


def main(arguments: list[str]) -> int:
    """Be the other user: give a command whose environments are there, as for `Workplace`."""
    from pipeline.arguments import parse
    from pipeline.cli import dispatch
    from pipeline.executors import table
    from tests.support.workplace import ReadyEnvironments

    environments = ReadyEnvironments()
    executor = LocalExecutor(lambda _: _own_interpreter())
    local: Any = table.BACKENDS
    local["local"] = lambda *_: Backend(environments, executor)
    return dispatch(parse(arguments))


def _own_interpreter() -> Path:
    """Write an interpreter that finds its packages: a job is given no variables of its user."""
    path = Path(tempfile.mkdtemp()) / "python"
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{os.environ["PYTHONPATH"]}" exec "{sys.executable}" "$@"\n')
    path.chmod(0o755)
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
