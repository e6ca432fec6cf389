"""Whose a container is."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from pipeline.executors.docker.owner import is_orphan, labels, started


def test_what_a_living_process_made_is_no_orphan() -> None:
    """This process is alive."""
    assert not is_orphan(labels("run", "train"))


def test_a_number_that_was_given_again_is_an_orphan() -> None:
    """Same number, another beginning."""
    assert is_orphan({**labels("run", "train"), "fine-tune-pipeline.owner-started": "0/0"})


def test_nothing_is_known_of_other_machines() -> None:
    """An engine may be shared."""
    found = {**labels("run", "train"), "fine-tune-pipeline.owner-started": "0/0"}
    assert not is_orphan({**found, "fine-tune-pipeline.owner-host": "elsewhere"})
    assert not is_orphan({})


def test_a_zombie_has_ended() -> None:
    """Its parent has not asked for it yet, and it will never do anything."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    deadline = time.monotonic() + 10
    while started(child.pid) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(child.pid, 0)  # still there
    child.wait()
