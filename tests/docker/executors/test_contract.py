"""The contract of an executor, on real engines: Docker, a Docker that shares no files, Podman."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import SettingsError, StageError
from pipeline.executors.docker.executor import DockerExecutor
from pipeline.images.lock import LockedImage
from pipeline.settings import Host, RunSettings
from tests.support.docker_bench import DockerBench
from tests.support.engines import client, copy_image, podman, second_docker
from tests.support.executor_contract import Bench, Contract


@pytest.fixture(scope="module")
def distant(engine: Any, image: LockedImage, service_folder: Callable[[], Path]) -> Iterator[str]:
    """The address of a second Docker that has the image."""
    with second_docker(service_folder()) as url:
        copy_image(image, engine, client(url))
        yield url


@pytest.fixture(scope="module")
def podman_address(engine: Any, image: LockedImage, service_folder: Callable[[], Path]) -> Iterator[str]:
    """The address of a Podman that has the image."""
    with podman(service_folder()) as url:
        copy_image(image, engine, client(url))
        yield url


class TestDocker(Contract):
    """The machine's engine: files are mounted."""

    @pytest.fixture
    def bench(self, make_bench: Callable[..., DockerBench]) -> Bench:
        """A bench in an empty folder."""
        return make_bench()

    def test_a_job_cannot_change_the_packages_of_its_trackers(self, bench: Bench) -> None:
        """They are mounted to be read."""
        bench.track()
        with pytest.raises(StageError, match="Read-only file system"):
            bench.run("write", path="/job/trackers/package.txt")


@pytest.mark.slow
class TestDistantDocker(Contract):
    """An engine with data of its own: files are sent and fetched."""

    def test_what_trackers_write_stays_beside_the_output(self, bench: Bench) -> None:
        """It would stay on the other machine: refused, before the job starts."""
        bench.track()
        with pytest.raises(SettingsError, match="does not see"):
            bench.run("track")
        assert bench.left_over() == []

    @pytest.fixture
    def bench(self, tmp_path: Path, distant: str, image: LockedImage) -> Bench:
        """A bench in an empty folder."""
        settings = RunSettings(hosts={image.name: Host(url=distant)})
        executor = DockerExecutor(lambda _: image, settings, lambda *_, **__: None)
        return DockerBench(tmp_path, executor, client(distant))

    def test_folders_of_input_and_output_arrive(self, bench: Bench) -> None:
        """Files in folders keep their paths and bytes on both ways."""
        (bench.folder / "store" / "a").mkdir()
        (bench.folder / "store" / "a" / "b.txt").write_text("deep" * 100_000)
        bench.inputs = {"data": {"a/b.txt": bench.folder / "store" / "a" / "b.txt"}}
        output = bench.run("files")
        assert (output / "deep" / "er" / "tree.json").read_text().count("deep") == 100_000
        assert bench.left_over() == []


@pytest.mark.slow
@pytest.mark.podman
class TestPodman(Contract):
    """Podman through its socket for Docker's API."""

    @pytest.fixture
    def bench(self, tmp_path: Path, podman_address: str, image: LockedImage, monkeypatch: pytest.MonkeyPatch) -> Bench:
        """A bench in an empty folder; DOCKER_HOST names the engine, as a user of Podman has it."""
        monkeypatch.setenv("DOCKER_HOST", podman_address)
        executor = DockerExecutor(lambda _: image, RunSettings(), lambda *_, **__: None)
        return DockerBench(tmp_path, executor, client(podman_address))
