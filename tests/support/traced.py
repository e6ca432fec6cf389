"""A process that the kernel's tracer kills at its n-th system call of each kind: `strace -e inject=...:signal=SIGKILL`.

As `killed.py`, but below Python: what the interpreter and its libraries ask of the kernel is seen too, whether or not
there is an audit event for it. The call at which it dies is not carried out.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tests.support.engines import missing
from tests.support.killed import REPOSITORY, Act

CHANGING: Final = frozenset(
    {"open", "openat", "creat", "write", "pwrite64", "ftruncate", "truncate", "fallocate", "copy_file_range"}
    | {"rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat"}
    | {"mkdir", "mkdirat", "rmdir", "chmod", "fchmod", "fchmodat", "utimensat", "fsync", "fdatasync", "flock"}
)
"""Calls that may change a disk, make it durable, or lock."""
_LINE: Final = re.compile(r"^(\d+) +(\w+)\(")


@dataclass(frozen=True)
class Killed:
    """One killed process: the call at which it died, and the folder that it left behind."""

    call: str
    folder: Path


def killed_at_every_call(act: Act, folder: Path, *, only: frozenset[str] | None = None) -> list[Killed]:
    """Kill `act` at each of its calls on files (of `only` these kinds), once each; return what was left behind.

    A thread's n-th call of a kind is the n-th of that thread. The first process is not killed; it comes last.
    Without strace, or the right to trace, see `missing`. `act` is a function of a module, as for `killed.py`.
    """
    with _Forks(act) as forks:
        whole, found = folder / "whole", []
        for call, most in sorted(_counted(forks, whole).items()):
            for number in range(1, most + 1):
                if only is None or call in only:
                    left = folder / f"{call}-{number}"
                    code = forks.run(left, "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={number}")
                    assert code == -signal.SIGKILL, f"{call} {number}: ended with {code}"
                    found.append(Killed(f"{call} {number}", left))
        return [*found, Killed("none", whole)]


def _counted(forks: _Forks, folder: Path) -> dict[str, int]:
    """Return, for each kind of call on files, the most that one thread of the act makes."""
    log = folder.with_suffix(".log")
    code = forks.run(folder, "-e", "trace=%file,%desc", "-o", str(log))
    assert code == 0, f"ended with {code}"
    lines = map(_LINE.match, log.read_text(errors="replace").splitlines())
    counted = Counter((line[1], line[2]) for line in lines if line)
    return {call: max(n for (_, of), n in counted.items() if of == call) for _, call in counted}


class _Forks:
    """A process without threads that has imported the act, and forks for each run of it."""

    def __init__(self, act: Act) -> None:
        strace = shutil.which("strace")
        if strace is None:
            missing("strace is not installed, which kills at system calls")
        self._strace = strace
        command = [sys.executable, "-m", "tests.support.traced", f"{act.__module__}:{act.__qualname__}"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=REPOSITORY, stdin=pipe, stdout=pipe, bufsize=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()

    def run(self, folder: Path, *options: str) -> int:
        """Run the act in a folder: its preparation alone, the rest under strace; return how it ended."""
        folder.mkdir(parents=True)
        number = int(self._ask(f"{folder}\n"))
        attach = [self._strace, "-f", *options, "-p", str(number)]
        with subprocess.Popen(attach, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as tracer:
            assert tracer.stderr is not None
            told = tracer.stderr.readline()
            if "attached" not in told:
                self._ask("go\n")
                missing(f"this machine does not let us trace: {told}")
            code = int(self._ask("go\n"))
            tracer.stderr.read()
        return code

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line.encode())
        return self._process.stdout.readline().decode()


def main(name: str) -> None:
    """Be the process that forks: for each folder on a line tell the child's number, and after "go" how it ended."""
    module, _, function = name.partition(":")
    act: Act = getattr(importlib.import_module(module), function)
    while folder := _read_line():
        child = os.fork()
        if child == 0:
            _run(act, Path(folder))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.write(1, f"{code}\n".encode())


def _run(act: Act, folder: Path) -> None:
    """Be the traced process: prepare, wait until the tracer is there, do the rest."""
    try:
        work = act(folder)
        next(work)
        os.write(1, f"{os.getpid()}\n".encode())
        _read_line()
        next(work, None)
    except BaseException:  # noqa: BLE001 - whatever it is, it must not go on as the parent
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _read_line() -> str:
    """Read a line, and not a byte more: the rest is for another process."""
    found = b""
    while not found.endswith(b"\n"):
        if not (byte := os.read(0, 1)):
            return ""
        found += byte
    return found.decode().rstrip("\n")


if __name__ == "__main__":
    main(sys.argv[1])
