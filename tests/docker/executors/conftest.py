"""An engine, a small image and a bench for each way to reach an engine."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.executors.docker.executor import DockerExecutor
from pipeline.images.lock import LockedImage
from pipeline.settings import RunSettings
from tests.support.docker_bench import DockerBench
from tests.support.engines import own_engine, remove_service_folder, small_image


@pytest.fixture(scope="session")
def engine() -> Any:
    """A client of the machine's engine."""
    return own_engine()


@pytest.fixture(scope="session")
def image(engine: Any) -> LockedImage:
    """A small image with a Python, on the machine's engine."""
    return small_image(engine)


@pytest.fixture
def make_bench(tmp_path: Path, engine: Any, image: LockedImage) -> Callable[..., DockerBench]:
    """Make a bench with run settings of one's own."""

    def make(**settings: Any) -> DockerBench:
        folder = tmp_path / f"bench-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        executor = DockerExecutor(lambda _: image, RunSettings.model_validate(settings), lambda *_, **__: None)
        return DockerBench(folder, executor, engine)

    return make


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose name leaves room for a socket's, which has 107 bytes in all."""
    folder = Path(tempfile.mkdtemp(prefix="e"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def service_folder() -> Iterator[Callable[[], Path]]:
    """Make folders for engines of the whole session."""
    folders: list[Path] = []

    def make() -> Path:
        folders.append(Path(tempfile.mkdtemp(prefix="e")))
        return folders[-1]

    yield make
    for folder in folders:
        remove_service_folder(folder)
