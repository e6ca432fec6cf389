"""A process that is killed at its n-th step on the disk, for every n until it lives to the end.

`killed_at_every_step` gives one folder for each n: what was left there is what a crash at that moment leaves.
"""

from __future__ import annotations

import fcntl
import importlib
import os
import signal
import stat
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]

Act = Callable[[Path], Iterator[None]]
"""A generator over an empty folder: what stands before its `yield` is preparation, what follows is killed."""

_STEPS = {"os.chmod", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate"}
"""Audit events of what changes a disk (`os.rename` is that of `os.replace` too); writing opens and fsync come to it."""
_MOST = 500


def killed_at_every_step(act: Act, folder: Path) -> list[Path]:
    """Kill `act` at its first step, at its second, and so on; return the folders, that of the survivor last.

    `act` is a function of a module, because a process without threads imports it and forks for each step.
    """
    name = f"{act.__module__}:{act.__qualname__}"
    command = [sys.executable, "-m", "tests.support.killed", name, str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return sorted(folder.iterdir())


def main(name: str, parent: Path) -> None:
    """Fork for each step; end when a child has survived. Raises RuntimeError when one fails otherwise."""
    module, _, function = name.partition(":")
    act: Act = getattr(importlib.import_module(module), function)
    for number in range(1, _MOST):
        folder = parent / f"{number:03}"
        folder.mkdir(parents=True)
        child = os.fork()
        if child == 0:
            _run(act, folder, number)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == 0:
            return
        if code != -signal.SIGKILL:
            message = f"step {number}: ended with {code}"
            raise RuntimeError(message)
    message = f"no end after {_MOST} steps"
    raise RuntimeError(message)


def _run(act: Act, folder: Path, number: int) -> None:
    """Be the child: prepare, then die at the given step, or end."""
    try:
        work = act(folder)
        next(work)
        _arm(number)
        next(work, None)
    except BaseException:  # noqa: BLE001 - whatever it is, it must not go on as the parent
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _arm(number: int) -> None:
    """From now on, die before the n-th step; where that is an fsync, with only half of the bytes on the disk."""
    left = number
    counting = threading.Lock()
    fsync = os.fsync

    def step(before_death: Callable[[], None] = lambda: None) -> None:
        nonlocal left
        with counting:  # folders are synced by several threads
            left -= 1
            if left == 0:
                before_death()
                os.kill(os.getpid(), signal.SIGKILL)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and int(arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)
        if left > 0 and (writes or event in _STEPS):
            step()

    def cut_or_sync(handle: int) -> None:
        step(lambda: _halve(handle))
        fsync(handle)

    sys.addaudithook(watch)
    os.fsync = cut_or_sync  # type: ignore[assignment]


def _halve(handle: int) -> None:
    """Cut a file that is being written; a folder, or a file that is only read, stays as it is."""
    about = os.fstat(handle)
    if stat.S_ISREG(about.st_mode) and fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY:
        os.ftruncate(handle, about.st_size // 2)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
