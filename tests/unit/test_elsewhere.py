"""The other conditions are real: a program that is started under them sees another clock and another user."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.elsewhere import (
    DATE,
    HOST,
    USER_ID,
    Conditions,
    at_another_time_and_by_another_user,
    forget_dead_clocks,
    jobs_at_another_time,
    on_another_host,
)


@pytest.fixture
def there(tmp_path: Path) -> Conditions:
    """Another clock and another user, where this machine can give both; a job of an earlier build has been counted."""
    (tmp_path / "unshare.jobs").write_text("job\n")
    found = at_another_time_and_by_another_user(Conditions(), tmp_path)
    if found.missing:
        pytest.skip("; ".join(found.missing))
    return found


@pytest.mark.skipif(not on_another_host(), reason="the system lets nobody give a host another name for one program")
def test_a_program_sees_the_other_host() -> None:
    """It alone: the host keeps its name."""
    before = os.uname().nodename
    done = subprocess.run([*on_another_host(), "uname", "-n"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == HOST
    assert os.uname().nodename == before != HOST


def test_only_jobs_are_counted(tmp_path: Path, there: Conditions) -> None:
    """Not the executor's question whether a job can be started without a network; and no job of an earlier build."""
    code = "from pipeline.executors.local import network_prefix; print(*network_prefix())"
    variables = {**os.environ, **there.variables}

    def printed(*command: str) -> str:
        done = subprocess.run([*there.prefix, *command], env=variables, capture_output=True, text=True, check=True)
        return done.stdout

    prefix = printed(sys.executable, "-c", code).split()
    assert jobs_at_another_time(tmp_path) == 0
    if not prefix:
        pytest.skip("this machine starts no job without a network")
    assert prefix[0] == str(tmp_path / "unshare")
    printed(*prefix, "sh", "-c", "true")
    assert jobs_at_another_time(tmp_path) == 1


def test_a_job_sees_the_other_clock_and_the_other_user(tmp_path: Path, there: Conditions) -> None:
    """Although it gets no variables of its caller's but PATH; waits and sleeps still end."""
    code = "import os, threading, time; threading.Event().wait(0.1); time.sleep(0.01)"
    code += "; print(time.gmtime().tm_year, os.getuid())"
    job = f"import subprocess, sys; subprocess.run(['unshare', 'true'], check=True); {code}"
    started = ["unshare", "--user", "--map-current-user", sys.executable, "-c", job]
    done = subprocess.run(
        [*there.prefix, "env", "-i", f"PATH={there.variables['PATH']}", *started],
        env={**os.environ, **there.variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == [DATE[:4], USER_ID]
    assert jobs_at_another_time(tmp_path) >= 1


def test_the_host_process_sees_the_other_clock_and_its_sleeps_end(there: Conditions) -> None:
    """A program that is waited for with a limit, as the report's drawing is: libfaketime alone fails there."""
    slow = "import time; time.sleep(0.3)"
    code = f"import subprocess, sys, time; subprocess.run([sys.executable, '-c', {slow!r}], timeout=50, check=True)"
    done = subprocess.run(
        [*there.prefix, sys.executable, "-c", f"{code}; print(time.gmtime().tm_year)"],
        env={**os.environ, **there.variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout.strip()) == (0, DATE[:4]), done.stderr


def test_clocks_of_processes_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    """A later process may get their number; those of a living one stay."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    for number in (gone.pid, os.getpid()):
        (tmp_path / f"sem.faketime_sem_{number}").touch()
        (tmp_path / f"faketime_shm_{number}").touch()
    (tmp_path / "other").touch()
    forget_dead_clocks(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {f"sem.faketime_sem_{os.getpid()}", f"faketime_shm_{os.getpid()}", "other"}
