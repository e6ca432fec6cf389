"""Other conditions to build under: a command prefix and variables. Used by the e2e tests and by `nox -s rebuild`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ZONE, USER = "Pacific/Kiritimati", "somebody-else"
"""Where and by whom a build is made there, as its environment says."""
HOST: Final = "the-machine-of-somebody-else"
DATE: Final = "2033-05-18 23:59:30"
"""When it is made there: seconds before midnight, with files in the clone that are years older."""
USER_ID: Final = "4321"
_WRAPPER = """\
#!/bin/sh
# Stands before unshare(1) in PATH, which starts jobs: they get no variables of ours, so they get the clock here.
case "$*" in
  '--net true' | '--net --map-current-user true') ;; # the executor asks whether it may; that is no job
  *) echo job >> "$0.jobs" ;;
esac
export LD_PRELOAD={waits}:{library} FAKETIME='@{date}' FAKETIME_DONT_FAKE_MONOTONIC=1
exec {unshare} "$@"
"""


@dataclass(frozen=True)
class Conditions:
    """How a build is started. `missing` says which conditions this machine cannot give, and why."""

    prefix: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    umask: int = -1
    missing: tuple[str, ...] = ()


def elsewhere() -> Conditions:
    """Return one processor, another locale, time zone, hash seed, thread count, umask, and user by name."""
    prefix = ("taskset", "-c", "0") if shutil.which("taskset") else ()
    other = {"LC_ALL": "C", "LANG": "C", "TZ": ZONE, "PYTHONHASHSEED": "12345", "OMP_NUM_THREADS": "1"}
    return Conditions(prefix, {**other, "USER": USER, "LOGNAME": USER}, 0o077)


def on_another_host() -> tuple[str, ...]:
    """Return a prefix under which the machine is called `HOST`; empty where the system gives no such namespace."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return ()
    name = f'echo {HOST} > /proc/sys/kernel/hostname && exec "$@"'
    prefix = (unshare, "--uts", "sh", "-c", name, "sh")
    return prefix if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0 else ()


def at_another_time_and_by_another_user(before: Conditions, folder: Path) -> Conditions:
    """Add a clock that is years ahead, for the jobs too, and another user number; `folder` takes a small program.

    The user is that of a namespace: the same files may be read and written, and every question for the user is answered
    by another number, which has no name.
    """
    prefix, variables, missing = before.prefix, dict(before.variables), list(before.missing)
    if (problem := _clock(folder, variables)) is None:
        prefix = (*prefix, "faketime", "--exclude-monotonic", "-f", f"@{DATE}")
    else:
        missing.append(f"clock: {problem}")
    other = (shutil.which("unshare") or "unshare", "--user", f"--map-user={USER_ID}", f"--map-group={USER_ID}")
    if subprocess.run([*other, "true"], capture_output=True, check=False).returncode == 0:
        prefix = (*other, *prefix)
    else:
        missing.append("user: this machine gives no user namespaces")
    return Conditions(prefix, variables, before.umask, tuple(missing))


def jobs_at_another_time(folder: Path) -> int:
    """Return how many jobs were started with the other clock."""
    told = folder / "unshare.jobs"
    return len(told.read_text().splitlines()) if told.is_file() else 0


def forget_dead_clocks(folder: Path = Path("/dev/shm")) -> None:  # noqa: S108 - where the library puts them
    """Remove what libfaketime has left of processes that are gone.

    A process that ends by `_exit` or a signal leaves its files; a later one of the same number would give up.
    """
    for path in folder.glob("*faketime_s[eh]m_*"):
        number = path.name.rpartition("_")[2]
        if not Path("/proc", number).exists():
            path.unlink(missing_ok=True)


def _clock(folder: Path, variables: dict[str, str]) -> str | None:
    """Put a program before unshare that changes the clock of what it starts; return why not, if it cannot be."""
    unshare = shutil.which("unshare")
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if shutil.which("faketime") is None or not libraries:
        return "libfaketime is not installed (Debian: faketime)"
    if unshare is None:
        return "jobs cannot be reached: unshare is not installed"
    if (compiler := shutil.which("gcc")) is None:
        return "there is no gcc"
    forget_dead_clocks()
    folder.mkdir(parents=True, exist_ok=True)
    waits = folder / "real_waits.so"
    source = Path(__file__).with_name("real_waits.c")
    compiled = subprocess.run([compiler, "-shared", "-fPIC", "-o", waits, source], capture_output=True, check=False)
    if compiled.returncode:
        return f"{compiler} does not compile {source.name}: {compiled.stderr.decode(errors='replace').strip()}"
    program = folder / "unshare"
    (folder / "unshare.jobs").unlink(missing_ok=True)  # those of an earlier build
    program.write_text(_WRAPPER.format(waits=waits, library=libraries[0], date=DATE, unshare=unshare), encoding="utf-8")
    program.chmod(0o755)
    variables["PATH"] = f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    variables["LD_PRELOAD"] = str(waits)  # faketime puts its own behind it
    return None
