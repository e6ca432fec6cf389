"""The workshop of a finished seedling."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.workshop import BUILD_VARIABLE, Workshop, seedling_stages


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, vendor_tree: Path) -> Iterator[Workshop]:
    """Parts of the seedling in `build/`, as `nox -s pipeline` leaves it there."""
    stages = seedling_stages()
    if stages is None:
        reason = f"no finished seedling in build/ and none named by {BUILD_VARIABLE}: run `nox -s pipeline` first"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    with Workshop(stages, vendor_tree, tmp_path_factory.mktemp("faults")).open() as made:
        yield made
