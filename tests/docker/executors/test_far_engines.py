"""Engines over a network: TLS with certificates, and SSH, each with the real programs on the loopback."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine.connection import connect
from pipeline.errors import EngineError
from pipeline.executors.docker.executor import DockerExecutor
from pipeline.images.engine import opened
from pipeline.images.lock import LockedImage
from pipeline.settings import Host, RunSettings
from tests.support.docker_bench import DockerBench
from tests.support.engines import Certificates, client, copy_image, free_port, second_docker, ssh_server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def certificates(service_folder: Callable[[], Path]) -> Certificates:
    """Certificates of an authority that nobody else knows."""
    return Certificates.made(service_folder())


@pytest.fixture(scope="module")
def port() -> int:
    """The port on which the far engine listens."""
    return free_port()


@pytest.fixture(scope="module")
def far(
    engine: Any, image: LockedImage, certificates: Certificates, port: int, service_folder: Callable[[], Path]
) -> Iterator[str]:
    """The socket of a second Docker that has the image and also listens with TLS."""
    with second_docker(service_folder(), (certificates, port)) as url:
        copy_image(image, engine, client(url))
        yield url


def bench_on(host: Host, image: LockedImage, folder: Path, api: Any) -> DockerBench:
    """Return a bench whose jobs run on a host."""
    settings = RunSettings(hosts={image.name: host})
    return DockerBench(folder, DockerExecutor(lambda _: image, settings, lambda *_, **__: None), api)


def test_a_job_runs_on_an_engine_behind_tls(
    far: str,
    port: int,
    certificates: Certificates,
    image: LockedImage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Inputs go there and outputs come back through the encrypted connection; nothing stays.

    What the machine trusts otherwise, and its proxy, are not asked: an own authority's engine is reached all the same.
    """
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    bench = bench_on(certificates.host(f"tcp://127.0.0.1:{port}"), image, tmp_path, client(far))
    assert (bench.run("copy") / "rows.txt").read_text() == "ABC"
    assert bench.left_over() == []


@pytest.mark.usefixtures("far")
def test_images_are_asked_for_behind_tls_as_well(
    port: int, certificates: Certificates, image: LockedImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`nox -s images` reaches an engine named by DOCKER_HOST as the jobs do, whatever the machine trusts otherwise."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    for name, file in (("ca", "ca"), ("client", "cert"), ("client-key", "key")):
        shutil.copy(certificates.folder / f"{name}.pem", tmp_path / f"{file}.pem")
    with opened() as engine:
        assert engine.inspect(image.id) is not None
        assert engine.inspect("sha256:" + "0" * 64) is None


@pytest.mark.usefixtures("far")
def test_an_engine_of_another_authority_is_not_trusted(
    port: int, certificates: Certificates, service_folder: Callable[[], Path]
) -> None:
    """Somebody in between would have another certificate: nothing is sent to it."""
    other = Certificates.made(service_folder()).folder / "ca.pem"
    host = certificates.host(f"tcp://127.0.0.1:{port}").model_copy(update={"ca": str(other)})
    with pytest.raises(EngineError, match=r"(?i)certificate"):
        connect(host)


@pytest.mark.usefixtures("far")
def test_a_client_of_another_authority_is_refused(
    port: int, service_folder: Callable[[], Path], certificates: Certificates
) -> None:
    """The engine asks for a certificate that its authority signed."""
    stranger = Certificates.made(service_folder()).host(f"tcp://127.0.0.1:{port}")
    host = stranger.model_copy(update={"ca": str(certificates.folder / "ca.pem")})
    with pytest.raises(EngineError):
        connect(host)


@pytest.fixture
def ssh_port(service_folder: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a real sshd; the real ssh is given the keys and the known host of this test."""
    real = shutil.which("ssh")
    with ssh_server(service_folder()) as (port, configuration):
        wrapper = tmp_path / "bin" / "ssh"
        wrapper.parent.mkdir()
        wrapper.write_text(f'#!/bin/sh\nexec {real} -F {configuration} "$@"\n')
        wrapper.chmod(0o755)
        monkeypatch.setenv("PATH", str(wrapper.parent), prepend=":")
        yield port


def test_a_job_runs_on_an_engine_behind_ssh(far: str, ssh_port: int, image: LockedImage, tmp_path: Path) -> None:
    """The far engine's socket is forwarded; the job's files go through it."""
    socket = far.removeprefix("unix://")
    (tmp_path / "bench").mkdir()
    bench = bench_on(Host(url=f"ssh://root@127.0.0.1:{ssh_port}{socket}"), image, tmp_path / "bench", client(far))
    assert (bench.run("copy") / "rows.txt").read_text() == "ABC"
    assert bench.left_over() == []


def test_a_host_that_ssh_does_not_know_is_refused(far: str, ssh_port: int, tmp_path: Path) -> None:
    """No question is asked and no key is taken on trust."""
    wrapper = tmp_path / "bin" / "ssh"
    wrapper.write_text(wrapper.read_text().replace('"$@"', '-o UserKnownHostsFile=/dev/null "$@"'))
    with pytest.raises(EngineError, match=r"(?i)host key verification failed"):
        connect(Host(url=f"ssh://root@127.0.0.1:{ssh_port}{far.removeprefix('unix://')}"))
