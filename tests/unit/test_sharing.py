"""Two processes share the tests of a run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sharing import keep_to_a_share

REPOSITORY = Path(__file__).parents[2]
PLACES = ("docker/test_a.py", "docker/test_b.py", "unit/test_c.py", "unit/test_d.py", "e2e/test_e.py")
CONFTEST = """\
import pytest
from tests.conftest import pytest_collection_modifyitems, pytest_configure, pytest_configure_node, pytest_unconfigure
from tests.conftest import pytest_xdist_make_scheduler

@pytest.fixture
def built():
    pass

@pytest.fixture(autouse=True)
def _told(request, worker_id):
    with open("order", "a") as out:
        out.write(f"{worker_id} {request.node.nodeid}\\n")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of tests: two of each file, of which that in e2e look at the second build."""
    for place in PLACES:
        path = tmp_path / "tests" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        given = "built" if place.startswith("e2e") else ""
        path.write_text("".join(f"def test_{number}({given}):\n    pass\n" for number in range(2)))
    (tmp_path / "conftest.py").write_text(CONFTEST)
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the folder's tests in two processes."""
    command = [sys.executable, "-m", "pytest", "-n", "2", "-rf", "--import-mode=importlib", *arguments, "tests"]
    return subprocess.run(
        command,
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_file_stays_with_a_process_and_so_does_what_shares_an_engine(folder: Path) -> None:
    """Every test runs once, the onlookers of the second build at the end."""
    done = run(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split() for line in (folder / "order").read_text().splitlines()]
    assert sorted(test for _, test in lines) == [
        f"tests/{place}::test_{at}" for place in sorted(PLACES) for at in (0, 1)
    ]
    processes = {place: {process for process, test in lines if place in test} for place in (*PLACES, "tests/docker/")}
    assert {place: len(found) for place, found in processes.items()} == dict.fromkeys(processes, 1)
    for process in {process for process, _ in lines}:
        own = [test.startswith("tests/e2e/") for one, test in lines if one == process]
        assert own == sorted(own)


def test_failures_of_both_processes_are_told_at_the_end(folder: Path) -> None:
    """Each by its name, and the run fails."""
    for place in ("docker/test_a.py", "unit/test_d.py"):
        (folder / "tests" / place).write_text("def test_it():\n    assert False\n")
    done = run(folder)
    assert done.returncode == 1
    summary = done.stdout.partition("short test summary")[2]
    assert "FAILED tests/docker/test_a.py::test_it" in summary
    assert "FAILED tests/unit/test_d.py::test_it" in summary


@pytest.fixture
def processors() -> Iterator[set[int]]:
    """The processors that this process had, and gets back."""
    own = os.sched_getaffinity(0)
    yield own
    os.sched_setaffinity(0, own)


@pytest.mark.usefixtures("all_processors")
def test_shares_are_apart_and_nothing_is_left(processors: set[int]) -> None:
    """As many processes as the machine has processors, and one process for all of them."""
    shares = []
    for number in range(len(processors)):
        os.sched_setaffinity(0, processors)
        keep_to_a_share(number, len(processors))
        shares += sorted(os.sched_getaffinity(0))
    assert shares == sorted(processors)
    os.sched_setaffinity(0, processors)
    keep_to_a_share(0, 1)
    assert os.sched_getaffinity(0) == processors


@pytest.mark.usefixtures("all_processors")
def test_more_processes_than_processors_share_them(processors: set[int]) -> None:
    """One more has the first one's; xdist numbers a process that stands in for a crashed one so, too."""
    keep_to_a_share(len(processors), len(processors))
    assert os.sched_getaffinity(0) == {min(processors)}
