"""How two processes share the tests: file by file, the long ones first, those that wait for the second build last."""

from __future__ import annotations

from typing import Any, Final

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support.second_build import SecondBuild

TOGETHER: Final = {
    "tests/docker/": "an engine",  # they count what it holds, and share others that they start
    "tests/e2e/test_seedling.py": "the second build's store",  # looked through by the first,
    "tests/e2e/test_v1_replay.py": "the second build's store",  # filled further by the other
}
"""Files and folders whose tests run one after the other, by what they share."""

FIRST: Final = (
    "tests/docker/",
    "tests/faults/",
    "tests/e2e/test_seedling.py",
    "tests/e2e/test_v1_replay.py",
    "tests/e2e/test_own_recipe.py",
    "tests/e2e/test_judge.py",
)
"""Long files and folders, longest first, so that no process is left alone with one at the end; after the second build
likewise."""

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


def looks_at_it(item: pytest.Item) -> bool:
    """Return whether a test waits for the second build."""
    return "built" in getattr(item, "fixturenames", ())


def rank(item: pytest.Item) -> tuple[bool, int]:
    """Return what the tests are sorted by; those of one file stay in their order."""
    places = (number for number, place in enumerate(FIRST) if item.nodeid.startswith(place))
    return looks_at_it(item), next(places, len(FIRST))
