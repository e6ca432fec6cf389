"""How two processes share the tests: file by file, the long ones first, those that wait for the second build last."""

from __future__ import annotations

from typing import Any, Final

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support.second_build import SecondBuild

TOGETHER: Final = ("tests/docker/",)
"""Folders whose tests run one after the other: they count what an engine holds, and share engines that they start."""

FIRST: Final = (
    "tests/docker/",
    "tests/faults/",
)
"""Long files and folders, longest first, so that no process is left alone with one at the end."""

SECOND: Final = pytest.StashKey[SecondBuild]()


class FilesSharing(LoadScopeScheduling):
    """Gives whole files to processes, in the order in which they were collected; some folders as if they were one."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", maxsplit=1)[0]
        return next((folder for folder in TOGETHER if file.startswith(folder)), file)


def is_first(config: pytest.Config) -> bool:
    """Return whether this process is the only one that runs tests, or the first of them."""
    given: dict[str, Any] = getattr(config, "workerinput", {})
    return given.get("workerid", "gw0") == "gw0"


def looks_at_it(item: pytest.Item) -> bool:
    """Return whether a test waits for the second build."""
    return "built" in getattr(item, "fixturenames", ())


def rank(item: pytest.Item) -> tuple[bool, int]:
    """Return what the tests are sorted by; those of one file stay in their order."""
    places = (number for number, place in enumerate(FIRST) if item.nodeid.startswith(place))
    return looks_at_it(item), next(places, len(FIRST))
