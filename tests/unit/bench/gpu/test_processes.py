"""Processes with a limit."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from bench.gpu.processes import Finished, NotMeasuredError, run


def python(code: str, tmp_path: Path, limit_s: float = 60) -> Finished:
    """Run some Python."""
    return run([sys.executable, "-c", code], tmp_path, os.environ, limit_s, tmp_path / "log.txt")


def test_events_come_with_their_time_and_all_else_goes_to_the_log(tmp_path: Path) -> None:
    """A warning between two events is no event, and neither is JSON without a name."""
    code = """if True:
        import sys, time
        print('{"event": "train.step", "done": 1}', file=sys.stderr, flush=True)
        print('a warning', file=sys.stderr, flush=True)
        print('{"no": "event"}', file=sys.stderr, flush=True)
        time.sleep(0.3)
        print('{"event": "job.measured", "name": "speed", "value": 7, "unit": "x"}', file=sys.stderr, flush=True)
        print('to standard output')
    """
    found = python(code, tmp_path)
    found.check(60)
    assert [event.name for event in found.events] == ["train.step", "job.measured"]
    assert found.events[1].at - found.events[0].at >= 0.25
    assert (found.measured("speed"), found.measured("memory")) == (7, None)
    log = (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert "a warning" in log
    assert "to standard output" in log


def test_what_a_job_says_of_its_failure_is_the_reason(tmp_path: Path) -> None:
    """In its own words, with the place."""
    code = """if True:
        import sys
        print('{"event": "job.failed", "what": "no card", "where": "recipe"}', file=sys.stderr)
        sys.exit(10)
    """
    with pytest.raises(NotMeasuredError, match=r"^no card \(recipe\)$"):
        python(code, tmp_path).check(60)


def test_the_last_line_of_a_crash_is_the_reason(tmp_path: Path) -> None:
    """As of a traceback, and of a signal that ends it without a word."""
    with pytest.raises(NotMeasuredError, match="it ended with 1: ValueError: too small"):
        python("raise ValueError('too small')", tmp_path).check(60)
    with pytest.raises(NotMeasuredError, match="it ended by signal 9: it said nothing"):
        python("import os; os.kill(os.getpid(), 9)", tmp_path).check(60)


def test_at_the_limit_the_whole_group_is_killed(tmp_path: Path) -> None:
    """A compiler's children too: none writes after the part has ended."""
    child = "import time; time.sleep(2); open('late', 'w')"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    found = python(code, tmp_path, limit_s=1)
    with pytest.raises(NotMeasuredError, match="stopped after 1 s"):
        found.check(1)
    time.sleep(2.5)
    assert not (tmp_path / "late").exists()
