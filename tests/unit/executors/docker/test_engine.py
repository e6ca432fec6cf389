"""Addresses of engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from docker.errors import ImageNotFound

from pipeline.engine.connection import connect, default_host
from pipeline.errors import EngineError, ImageError
from pipeline.executors.docker.engine import Engine, refuse_unfit
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


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"DOCKER_HOST": "tcp://far:2376", "DOCKER_CERT_PATH": "/c"}, ("/c/ca.pem", "/c/cert.pem", "/c/key.pem")),
        ({"DOCKER_HOST": "tcp://far:2376"}, (None, None, None)),
        ({"DOCKER_HOST": "unix:///s", "DOCKER_CERT_PATH": "/c"}, (None, None, None)),
    ],
)
def test_the_certificates_are_those_of_the_docker_command(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: tuple[str | None, ...]
) -> None:
    """DOCKER_CERT_PATH counts for TCP alone."""
    for name in ("DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    host = default_host()
    assert (host.ca, host.certificate, host.key) == expected


def test_without_a_folder_the_certificates_are_in_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """DOCKER_TLS_VERIFY alone means ~/.docker, as for the docker command."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://far:2376")
    monkeypatch.delenv("DOCKER_CERT_PATH", raising=False)
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert default_host().ca == "/home/somebody/.docker/ca.pem"


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Not the SDK's riddle about parameters."""
    place = {name: str(tmp_path / f"{name}.pem") for name in ("ca", "certificate", "key")}
    with pytest.raises(EngineError, match=r"there is no file .*ca\.pem") as caught:
        connect(Host(url="tcp://127.0.0.1:9", **place))
    assert "DOCKER_CERT_PATH" in caught.value.advice


BOTH = {"MemoryLimit": True, "PidsLimit": True}


@pytest.mark.parametrize(
    ("info", "what"),
    [
        ({"MemoryLimit": False, "PidsLimit": True}, "the memory of a job"),
        ({"MemoryLimit": True, "PidsLimit": False}, "the processes of a job"),
        ({**BOTH, "Rootless": True, "CgroupVersion": "1"}, "the memory and processes of a job"),
        ({**BOTH, "SecurityOptions": ["name=rootless"], "CgroupVersion": "1"}, "the memory and processes of a job"),
    ],
)
def test_an_engine_that_would_forget_limits_is_refused(info: dict[str, Any], what: str) -> None:
    """It only warns, and a job could take the machine down. Rootless Podman 4.3 claims what it cannot do."""
    with pytest.raises(EngineError, match=f"cannot limit {what}") as caught:
        refuse_unfit(info, "unix:///engine", shares_files=False)
    assert "runs as root" in caught.value.advice


def test_a_rootless_engine_that_shares_files_is_refused() -> None:
    """Else a job ends with a riddle: no permission to write its output. Where files are sent, all is the engine's."""
    info = {**BOTH, "Rootless": True, "CgroupVersion": "2"}
    with pytest.raises(EngineError, match="another number here"):
        refuse_unfit(info, "unix:///engine", shares_files=True)
    refuse_unfit(info, "ssh://engine", shares_files=False)


@pytest.mark.parametrize("info", [{**BOTH, "SwapLimit": False, "SecurityOptions": None}, {}])
def test_limits_that_an_engine_has_or_says_nothing_of_are_no_fault(info: dict[str, Any]) -> None:
    """Swap on top cannot be counted on many machines."""
    refuse_unfit(info, "unix:///engine", shares_files=True)
