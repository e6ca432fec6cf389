"""A build that can be released, made once and copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.releasable import ReleasePlace


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("releasable")
    with pytest.MonkeyPatch.context() as monkeypatch:
        ReleasePlace(folder, monkeypatch).run()
    return folder


@pytest.fixture
def place(_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReleasePlace:
    """A place whose last build is complete and healthy."""
    shutil.copytree(_template, tmp_path, dirs_exist_ok=True, symlinks=True)
    return ReleasePlace(tmp_path, monkeypatch)
