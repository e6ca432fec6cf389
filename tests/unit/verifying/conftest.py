"""A sound release, signed by a key; each test gets a copy of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.released import write_key, write_public, write_release
from tests.support.verified import Sound


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """The release that all copies are made of."""
    folder = tmp_path_factory.mktemp("made")
    key = write_key(folder / "key.pem")
    return Sound(write_release(folder / "release", key), key, write_public(key, folder / "key.pub"))


@pytest.fixture
def sound(made: Sound, tmp_path: Path) -> Sound:
    """A copy."""
    return Sound(Path(shutil.copytree(made.folder, tmp_path / "release")), made.key, made.public)


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key of the user who runs the tests is trusted."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
