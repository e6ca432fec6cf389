"""A process that the kernel's tracer kills at its n-th system call of each kind: `strace -e inject=...:signal=SIGKILL`.

As `killed.py`, but below Python: what the interpreter and its libraries ask of the kernel is seen too, whether or not
there is an audit event for it. The call at which it dies is not carried out.

The act waits for its tracer by stopping itself (SIGSTOP), not by reading a pipe: such a read would be counted as one of
its own calls, and a process that is killed there leaves in the pipe what the next one takes for its own.
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
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.engines import missing
from tests.support.killed import REPOSITORY, Act

CHANGING: Final = frozenset(
    {"open", "openat", "creat", "write", "pwrite64", "ftruncate", "truncate", "fallocate", "copy_file_range"}
    | {"rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat"}
    | {"mkdir", "mkdirat", "rmdir", "chmod", "fchmod", "fchmodat", "utimensat", "fsync", "fdatasync", "flock"}
)
"""Calls that may change a disk, make it durable, or lock."""
_LINE: Final = re.compile(r"^(\d+) +(\w+)\((.*)")


@dataclass(frozen=True)
class Killed:
    """One killed process: the call at which it died, and the folder that it left behind."""

    call: str
    folder: Path


@dataclass(frozen=True)
class _Ended:
    """How one process ended, and the calls on files that each of its threads had begun, by the thread's number."""

    code: int
    main: int
    begun: dict[int, Counter[str]]

    def most(self, *, of_main: bool) -> dict[str, int]:
        """Return, for each kind of call, how many the main thread began, or that other thread which began most."""
        of_some = [begun for thread, begun in self.begun.items() if (thread == self.main) == of_main]
        return {call: max(begun[call] for begun in of_some) for call in sorted(set().union(*of_some))}


def killed_at_every_call(act: Act, folder: Path, *, only: frozenset[str] | None = None) -> list[Killed]:
    """Kill `act` at each of its calls on files (of `only` these kinds), once each; return what was left behind.

    The main thread dies at each call of its own. Another's n-th call of a kind is hit where the main thread has not
    made n of them by then; which of several threads makes the n-th may differ from run to run. The first process is
    not killed; it comes last. Fails where one outlives a call that it made. Without strace, or the right to trace, see
    `missing`. `act` is a function of a module, as for `killed.py`.
    """
    with _forks(act) as forks:
        whole = forks.run(folder / "whole", "-f", "-e", "trace=%file,%desc")
        assert whole.code == 0, f"ended with {whole.code}"
        found = []
        for options, of_main in (((), True), (("-f",), False)):
            for call, most in whole.most(of_main=of_main).items():
                for number in range(1, most + 1):
                    if only is None or call in only:
                        left = folder / f"{call}-{number}{''.join(options)}"
                        kill = ("-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={number}")
                        ended = forks.run(left, *options, *kill)
                        if _was_hit(ended, call, number, of_main=of_main):
                            found.append(Killed(f"{call} {number}", left))
        return [*found, Killed("none", folder / "whole")]


def _was_hit(ended: _Ended, call: str, number: int, *, of_main: bool) -> bool:
    """Return whether a process died at its n-th call; False where no thread made as many: a pool shares its work."""
    if ended.code == -signal.SIGKILL:
        return True
    begun = max((begun[call] for begun in ended.begun.values()), default=0)
    assert not of_main, f"{call} {number}: ended with {ended.code} after {begun}"
    assert ended.code == 0, f"{call} {number} of a thread: ended with {ended.code}"
    assert 0 < begun < number, f"{call} {number} of a thread: lived through {begun}"
    return False


class _Forks:
    """A process without threads that has imported the act, and forks for each run of it."""

    def __init__(self, strace: str, process: subprocess.Popen[str]) -> None:
        self._strace = strace
        self._process = process

    def run(self, folder: Path, *options: str) -> _Ended:
        """Run the act in a folder: its preparation alone, the rest under strace; return how it ended."""
        folder.mkdir(parents=True)
        assert self._process.stdin is not None
        self._process.stdin.write(f"{folder}\n")
        self._process.stdin.flush()
        number = self._answer("stopped")
        log = folder.with_suffix(".log")
        self._trace(number, "-o", str(log), *options)
        return _Ended(self._answer("ended"), number, _begun(log, number))

    def _trace(self, number: int, *options: str) -> None:
        """Let strace take hold of a stopped process, let that go on, wait until it has ended."""
        attach = [self._strace, *options, "-p", str(number)]
        tracing = subprocess.Popen(attach, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        with tracing as tracer, _killed_where_it_fails(number):
            assert tracer.stderr is not None
            told = tracer.stderr.readline()
            if "attached" not in told:
                missing(f"this machine does not let us trace: {told}")
            os.kill(number, signal.SIGCONT)
            tracer.stderr.read()

    def _answer(self, kind: str) -> int:
        assert self._process.stdout is not None
        told, _, number = self._process.stdout.readline().partition(" ")
        assert told == kind, f"{told} {number.strip()} instead of {kind}"
        return int(number)


@contextmanager
def _killed_where_it_fails(process: int) -> Iterator[None]:
    """Let a stopped process not outlive a failure: its tracer and its parent wait for it."""
    try:
        yield
    except BaseException:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        raise


@contextmanager
def _forks(act: Act) -> Iterator[_Forks]:
    """Start the process that forks, and end it: what it still has to say is read, so that it can."""
    if (strace := shutil.which("strace")) is None:
        missing("strace is not installed, which kills at system calls")
    command = [sys.executable, "-m", "tests.support.traced", f"{act.__module__}:{act.__qualname__}"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield _Forks(strace, process)
        finally:
            process.communicate()


def _begun(log: Path, main: int) -> dict[int, Counter[str]]:
    """Count the calls of each thread, up to its last of that kind on a file: memory without one is mapped as it comes.

    strace names no thread where it follows the main one alone.
    """
    begun: dict[int, Counter[str]] = defaultdict(Counter)
    without_file: Counter[tuple[int, str]] = Counter()
    for line in log.read_text(errors="replace").splitlines():
        if not (told := _LINE.match(line if line[:1].isdigit() else f"{main} {line}")):
            continue
        thread, call = int(told[1]), told[2]
        without_file[thread, call] += 1
        if "MAP_ANONYMOUS" not in told[3]:
            begun[thread][call] += without_file.pop((thread, call))
    return begun


def main(name: str) -> None:
    """Be the process that forks: for each folder on a line tell the child that stopped itself, then how it ended."""
    module, _, function = name.partition(":")
    act: Act = getattr(importlib.import_module(module), function)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _run(act, Path(line.rstrip("\n")))
        _, status = os.waitpid(child, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            os.write(1, f"stopped {child}\n".encode())
            _, status = os.waitpid(child, 0)
        os.write(1, f"ended {os.waitstatus_to_exitcode(status)}\n".encode())


def _run(act: Act, folder: Path) -> None:
    """Be the traced process: prepare, stop until the tracer is there, do the rest; the pipes are its parent's alone."""
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        work = act(folder)
        next(work)
        os.kill(os.getpid(), signal.SIGSTOP)
        next(work, None)
    except BaseException:  # noqa: BLE001 - whatever it is, it must not go on as the parent
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
