"""How two processes share the machine and the tests.

A processor each; whole files, the long ones first, those that wait for the second build last.
"""

from __future__ import annotations

import os
from typing import Any, Final

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support.finished_seedling import left_by_the_main_job
from tests.support.second_build import SecondBuild

TOGETHER: Final = {
    "tests/docker/": "an engine",  # they count what it holds, and share others that they start
}
"""Files and folders whose tests run one after the other, by what they share."""

FIRST: Final = (
    "tests/docker/",
    "tests/e2e/test_v1_replay.py",
    "tests/e2e/test_own_recipe.py",
    "tests/e2e/test_processors.py",
    "tests/faults/",
    "tests/chaos/test_kills.py",
    "tests/e2e/test_distributed_training.py",
    "tests/e2e/test_clocks.py",
    "tests/e2e/test_interruptions.py",
    "tests/e2e/",
)
"""Long files and folders, longest first, so that no process is left alone with one at the end."""

ALL_PROCESSORS: Final = frozenset(os.sched_getaffinity(0))
"""Those of all processes together; this is read before a process keeps to its share."""

SECOND: Final = pytest.StashKey[SecondBuild]()


class FilesSharing(LoadScopeScheduling):  # type: ignore[misc]  # published without types
    """Gives whole files to processes, in the order of their collection; files that share something as if one."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", maxsplit=1)[0]
        return next((shared for place, shared in TOGETHER.items() if file.startswith(place)), file)


def is_first(config: pytest.Config) -> bool:
    """Return whether this process is the only one that runs tests, or the first of them."""
    given: dict[str, Any] = getattr(config, "workerinput", {})
    return str(given.get("workerid", "gw0")) == "gw0"


def keep_to_a_share(number: int, count: int) -> None:
    """Leave to process `number` of `count` its share of the processors; what it starts keeps to it as well.

    A training's two threads wait for each other all the time: shortest on one processor, unless they have two alone.
    """
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, processors[number % len(processors) :: count])


def looks_at_it(item: pytest.Item) -> bool:
    """Return whether a test is about the second build."""
    return "built" in getattr(item, "fixturenames", ())


def needs_a_seedling(item: pytest.Item) -> bool:
    """Return whether a test works with a finished seedling, whichever."""
    return "finished_seedling" in getattr(item, "fixturenames", ())


def waits(item: pytest.Item) -> bool:
    """Return whether a test waits for the second build: as its subject, or because no main job has run here."""
    return looks_at_it(item) or (needs_a_seedling(item) and left_by_the_main_job() is None)


def rank(item: pytest.Item) -> tuple[bool, int]:
    """Return what the tests are sorted by; those of one file stay in their order."""
    places = (number for number, place in enumerate(FIRST) if item.nodeid.startswith(place))
    return waits(item), next(places, len(FIRST))
