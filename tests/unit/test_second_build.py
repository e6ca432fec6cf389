"""The build beside the tests: whoever knows its folder can wait for it or end it."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.support.second_build import ZONE, SecondBuild


def started(folder: Path, code: str) -> SecondBuild:
    """Start a program of Python's in the place of a build."""
    build = SecondBuild(folder)
    build.start([sys.executable, "-c", code], folder.parent)
    return build


def test_another_process_waits_for_it(tmp_path: Path) -> None:
    """One that knows only the folder."""
    started(tmp_path / "build", "import os, time; time.sleep(0.5); open('done', 'w').write(os.environ['TZ'])")
    SecondBuild(tmp_path / "build").wait()
    assert (tmp_path / "done").read_text() == ZONE


def test_who_waits_before_it_starts_waits_on(tmp_path: Path) -> None:
    """The process that starts it may be the slower one."""
    assert not SecondBuild(tmp_path)._ended()


def test_its_failure_is_told_with_what_it_said_last(tmp_path: Path) -> None:
    """By each test that looks at it."""
    build = started(tmp_path / "build", "import sys; sys.exit('no room')")
    with pytest.raises(AssertionError, match=r"exit code 1\nno room"):
        build.wait()


def test_one_that_was_killed_is_not_waited_for(tmp_path: Path) -> None:
    """Nobody is left who could write its exit code."""
    build = started(tmp_path / "build", "import time; time.sleep(60)")
    os.killpg(build._process.pid, signal.SIGKILL)
    build._process.wait()
    with pytest.raises(AssertionError, match="it was killed"):
        build.wait()


def test_it_is_ended_and_its_folder_goes(tmp_path: Path) -> None:
    """It is asked first, and may clean up."""
    folder, seen = tmp_path / "build", tmp_path / "seen"
    code = "import signal, sys, time\n"
    code += f"signal.signal(signal.SIGTERM, lambda *_: sys.exit(open({str(seen)!r}, 'a').write('asked')))\n"
    code += f"open({str(seen)!r}, 'a').write('here ')\ntime.sleep(60)"
    build = started(folder, code)
    while not seen.exists() or seen.read_text() != "here ":
        time.sleep(0.02)
    SecondBuild(folder).stop()
    assert seen.read_text() == "here asked"
    assert build._process.wait(timeout=5) >= 0, "the shell ended by itself"
    assert not folder.exists()


def test_one_that_never_started_is_ended_without_a_trace(tmp_path: Path) -> None:
    """As in every run that looks at no build."""
    SecondBuild(tmp_path / "build").stop()
    assert list(tmp_path.iterdir()) == []
