"""The builder of `nox -s rebuild` that builds in containers: there where a run finds its images, and only there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rebuild.builders import CannotBuildError, containers


def test_images_of_the_lock_are_enough(shipped: Callable[[str], str], tmp_path: Path) -> None:
    """Whatever base they were built on: no registry is asked for it."""
    assert shipped("training")
    assert shipped("inference")
    assert containers(tmp_path).options == ("--executor", "docker")


def test_without_an_engine_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the address that nobody answers at."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    with pytest.raises(CannotBuildError, match=r"no container engine: unix:///nowhere\.sock"):
        containers(tmp_path)
