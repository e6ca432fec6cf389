"""The local executor: a subprocess in a virtual environment, without a network where the system permits.

The job sees an allow-list of variables, a home and a temporary folder of its own, a copy of exactly
the code that its key names, and links to exactly the input files that its stage declares.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from pipeline.errors import ExecutorError
from pipeline.executors.contract import EventSink, Request
from pipeline.executors.events import JobOutput, whole_lines
from pipeline.executors.layout import job_variables, tracking_variables, write_code, write_request
from pipeline.executors.patience import POLL_S, Patience
from pipeline.files import explained

_PASSED_ON = ("CUDA_VISIBLE_DEVICES", "SYSTEMROOT")
_OF_SHELLS = ("PWD", "OLDPWD", "SHLVL", "_")
"""Variables that shells add."""
_GRACE_S = 5.0
"""Seconds between asking a job to stop and killing it."""
_DYING_S = 1.0
"""Longest wait for killed grandchildren to go; a slow init may keep them as zombies, which do nothing."""


@cache
def network_prefix() -> tuple[str, ...]:
    """Return the command prefix that starts a program without a network; empty where not permitted."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return ()
    for options in (("--net",), ("--net", "--map-current-user")):
        probe = subprocess.run([unshare, *options, "true"], capture_output=True, check=False)
        if probe.returncode == 0:
            return (unshare, *options)
    return ()


def mortal_prefix() -> tuple[str, ...]:
    """Return the command prefix that starts a program which the kernel kills when this process dies.

    A job asks for that itself, but only when its interpreter is there: a host that was killed before would leave it
    running. First comes the request to the kernel, then the look whether the host is still the parent, so that there is
    no moment between them. Empty where there is no `setpriv` (util-linux).
    """
    setpriv, shell, env = map(shutil.which, ("setpriv", "sh", "env"))
    if setpriv is None or shell is None or env is None:
        return ()
    without = [part for name in _OF_SHELLS for part in ("-u", name)]
    look = ("-c", '[ "$PPID" = "$0" ] && exec "$@"', str(os.getpid()))
    return (setpriv, "--pdeathsig", "KILL", shell, *look, env, *without)


class LocalExecutor:
    """Runs jobs with the interpreters of `environments`: environment name → its Python."""

    def __init__(self, interpreter: Callable[[str], Path]) -> None:
        self._interpreter = interpreter

    def offers(self, environment: str) -> frozenset[str]:  # noqa: ARG002 - no environment of the local locks has them
        """Return nothing: the local environments are made from the CPU locks."""
        return frozenset()

    def run(self, request: Request, sink: EventSink, cancelled: threading.Event) -> Path:
        """Run one job; see `contract.Executor`."""
        with explained(request.work):
            output = _lay_out(request)
        python = self._interpreter(request.environment)
        command = [*network_prefix(), *mortal_prefix()]
        command += [str(python), "-B", "-m", "inside", str(request.work / "request.json")]
        variables = _variables(request, python)
        process = _start(command, request, variables)
        patience = Patience(request.stage, cancelled, request.timeout_s)
        job_output = JobOutput(request.stage, sink)
        reader = threading.Thread(
            target=job_output.read, args=(whole_lines(process.stdout) if process.stdout else (),), daemon=True
        )
        try:
            reader.start()
            sink("job.started", stage=request.stage, pid=process.pid, network=not network_prefix())
            _wait(process, reader, patience)
        finally:
            _end(process)
            if reader.ident is not None:  # where no thread could be started there is nothing to wait for
                reader.join(timeout=_GRACE_S)
        job_output.judge(process.returncode)
        return output


def _start(command: list[str], request: Request, variables: Mapping[str, str]) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            command,
            cwd=request.work / "code",
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        message = f"{request.stage}: the job could not be started: {error.strerror}"
        advice = "free memory, or make the environment anew: python -m pipeline.environments --again NAME"
        raise ExecutorError(message, where=str(error.filename or command[0]), advice=advice) from error


def _lay_out(request: Request) -> Path:
    """Write code, inputs and request into the work folder; return the output folder."""
    work = request.work
    write_code(request, work / "code")
    folders: dict[str, Path] = dict(request.folders)
    for name, files in request.inputs.items():
        folders[name] = _link_input(work / "inputs" / name, files)
    for name in ("output", "home", "tmp"):
        (work / name).mkdir()
    write_request(request, work / "request.json", folders, output=work / "output", scratch=request.scratch)
    return work / "output"


def _link_input(folder: Path, files: Mapping[str, Path]) -> Path:
    folder.mkdir(parents=True)
    for path, source in files.items():
        link = folder / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(source.resolve())
    return folder


def _variables(request: Request, python: Path) -> dict[str, str]:
    """Return the whole environment of a job: nothing of the user's leaks in."""
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    home, temporary = request.work / "home", request.work / "tmp"
    found = {**job_variables(request, python, home=home, temporary=temporary), **passed_on}
    if request.tracking is not None:
        packages, folder = request.tracking.packages.absolute(), request.tracking.folder.absolute()
        found |= tracking_variables(request, packages=packages, folder=folder)
    return found


def _wait(process: subprocess.Popen[str], reader: threading.Thread, patience: Patience) -> None:
    """Wait for the end: the reader ends when the job closes its output, so a quick job costs no polling delay.

    A job can close its output long before it ends, and is not left alone then.
    """
    while reader.is_alive() and process.poll() is None:
        reader.join(timeout=POLL_S)
        if reader.is_alive():
            patience.check()
    while not _ended(process):
        patience.check()


def _ended(process: subprocess.Popen[str]) -> bool:
    """Wait a moment for the end of a process; the kernel tells of it at once, where `Popen.wait` looks now and then."""
    try:
        told = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # an old kernel, or already gone
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=POLL_S)
    else:
        try:
            select.select([told], [], [], POLL_S)
        finally:
            os.close(told)
    return process.poll() is not None


def _end(process: subprocess.Popen[str]) -> None:
    """Leave no process of the job behind: ask the whole group to stop, then kill it."""
    if process.poll() is None:
        _signal_group(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_GRACE_S)
    _signal_group(process, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + _DYING_S
    while _signal_group(process, 0) and time.monotonic() < deadline:  # grandchildren die a moment after the signal
        time.sleep(0.01)


def _signal_group(process: subprocess.Popen[str], number: int) -> bool:
    """Signal the job's process group; return whether anybody is in it."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
