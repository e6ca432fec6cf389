"""Addresses of engines."""

from __future__ import annotations

import pytest
from docker.errors import ImageNotFound

from pipeline.errors import EngineError, ImageError
from pipeline.executors.docker.engine import Engine, connect
from pipeline.images.lock import LockedImage
from pipeline.settings import Host


@pytest.mark.parametrize("port", ["abc", "99999999"])
def test_a_port_that_is_no_number_is_told(port: str) -> None:
    """The form of an address is the advice."""
    with pytest.raises(EngineError, match="no address of a container engine") as caught:
        connect(Host(url=f"tcp://engine:{port}", ca=None, certificate=None, key=None))
    assert "tcp://host:port" in caught.value.advice


class Api:
    """What an engine knows of images: names → the digest that it answers with."""

    def __init__(self, **images: str) -> None:
        self._images = {name.replace("_", ":"): digest for name, digest in images.items()}

    def inspect_image(self, reference: str) -> dict[str, str]:
        """Answer as the SDK's client does."""
        if reference not in self._images:
            raise ImageNotFound(f"No such image: {reference}")
        return {"Id": self._images[reference]}


IMAGE = LockedImage("inference-cpu", "sha256:config", {}, "sha256:manifest")


def engine(**images: str) -> Engine:
    """Return an engine that has these images."""
    return Engine("unix:///engine", Api(**images), 1, shares_files=True)


def test_an_image_is_known_by_its_configuration() -> None:
    """As in Docker's own store, and in Podman, which leaves the algorithm out."""
    assert engine(sha256_config="sha256:config").known(IMAGE).id == "sha256:config"
    assert engine(sha256_config="config").known(IMAGE).id == "sha256:config"


def test_an_image_is_known_by_its_manifest_in_containerds_store() -> None:
    """There the configuration's digest names nothing; the key of a stage has it all the same."""
    assert engine(sha256_manifest="sha256:manifest").known(IMAGE).id == "sha256:manifest"


@pytest.mark.parametrize("image", [IMAGE, LockedImage("inference-cpu", "sha256:config", {})])
def test_an_engine_without_the_image_says_which(image: LockedImage) -> None:
    """By the digest that the lock names, with the command that makes it."""
    with pytest.raises(ImageError, match="does not have the image") as caught:
        engine(sha256_other="sha256:other").known(image)
    assert "nox -s images" in caught.value.advice


def test_an_engine_that_answers_with_another_image_is_refused() -> None:
    """A name is no digest."""
    with pytest.raises(ImageError, match="with another image"):
        engine(sha256_config="sha256:other").known(IMAGE)
