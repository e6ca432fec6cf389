"""Tests that need a container engine: for real in CI, skipped with a reason elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import EngineError
from pipeline.images.base import local_origin
from pipeline.images.build import CACHE, Builder
from pipeline.images.engine import Engine, opened
from pipeline.images.lock import locked_image
from pipeline.images.settings import ImageRecipe, Settings, read_settings
from tests.support.engines import missing

Build = Callable[..., Any]


def ignore(event: str, **data: object) -> None:
    """Take an event."""


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """The container engine of this machine."""
    try:
        connection = opened()
        found = connection.__enter__()
    except EngineError as error:
        missing(f"no container engine: {error.what}")
    yield found
    connection.__exit__(None, None, None)


@pytest.fixture(scope="session")
def client(engine: Engine) -> Any:
    """The SDK's client of the same engine, to look at what is there."""
    import docker

    return docker.from_env()


@pytest.fixture(scope="session")
def small() -> Settings:
    """The settings with one image more: the Dockerfile and Debian packages of training, with few Python packages."""
    settings = read_settings()
    recipe = ImageRecipe(folder="training", debian=["runtime"], packages="infer")
    return settings.model_copy(update={"images": {**settings.images, "small-cpu": recipe}})


@pytest.fixture
def builder(engine: Engine, small: Settings, tmp_path: Path) -> Builder:
    """A builder on the base made here, with a lock of its own; what it fetches is kept."""
    return Builder(engine, small, ignore, local=True, cache=CACHE, lock=tmp_path / "images.lock")


@pytest.fixture(scope="session")
def shipped(engine: Engine) -> Callable[[str], str]:
    """Return the id of a locked image that the engine has."""

    def find(environment: str) -> str:
        image = locked_image(environment)
        if engine.inspect(image.id) is None:
            missing(f"the engine does not have the locked image of {environment}: run `nox -s images -- --local-base`")
        assert image.labels["fine-tune-pipeline.base"] in {local_origin(), read_settings().bases["debian"]}
        return image.id

    return find
