"""Container engines for tests: the machine's own, a second Docker, a Podman; and a small image with a Python."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from pipeline.errors import EngineError
from pipeline.executors.docker.engine import connect, default_host
from pipeline.images.lock import LockedImage
from pipeline.settings import Host

BASE_LABEL = "fine-tune-pipeline.test-base"
BASE_VERSION = "1"
"""Goes up when the way of making the image changes; an image of another version is not used."""

_LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
_BRIDGE = "ftptest"
_PODMAN_SETTINGS = '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
_START_S = 30.0
_STOP_S = 5.0


def missing(reason: str) -> None:
    """Say that a test cannot run here: a failure in CI, which has to have everything, a skip elsewhere."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def own_engine() -> Any:
    """Return a client of the machine's engine."""
    try:
        return connect(default_host())
    except EngineError as error:
        missing(f"no container engine: {error.what}")


def client(url: str) -> Any:
    """Return a client of an engine at an address."""
    return docker.APIClient(base_url=url, version="auto")


def small_image(api: Any) -> LockedImage:
    """Return the small image, made if the engine does not have it: Debian's essential packages and python3."""
    wanted = {"label": f"{BASE_LABEL}={BASE_VERSION}"}
    if not (found := api.images(filters=wanted)):
        with tempfile.TemporaryDirectory(dir=_quick_folder()) as folder:
            _import(api, _make_root(Path(folder)))
        found = api.images(filters=wanted)
    return LockedImage("training-cpu", found[0]["Id"], {"fine-tune-pipeline.python": "/usr/bin/python3"})


def _quick_folder() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - on a disk this takes minutes


def _make_root(folder: Path) -> Path:
    """Make a root file system without a registry."""
    if shutil.which("mmdebstrap") is None:
        missing("mmdebstrap is not installed, which makes the image for tests")
    tar = folder / "root.tar"
    options = [f"--dpkgopt=path-exclude={path}" for path in _LEFT_OUT]
    command: list[str | Path] = ["mmdebstrap", "--variant=essential", "--include=python3", *options, "bookworm", tar]
    subprocess.run(command, env={**os.environ, "TMPDIR": str(folder)}, check=True, capture_output=True)
    return tar


def _import(api: Any, tar: Path) -> None:
    # A name of its own: an image without one goes with the last tag that a test takes away.
    name = {"repository": "fine-tune-pipeline-test-base", "tag": BASE_VERSION}
    api.import_image_from_file(str(tar), changes=[f"LABEL {BASE_LABEL}={BASE_VERSION}"], **name)


def copy_image(image: LockedImage, source: Any, target: Any) -> None:
    """Bring an image to another engine, under the same digest."""
    target.load_image(b"".join(source.get_image(image.id)))


@contextlib.contextmanager
def second_docker(folder: Path) -> Iterator[str]:
    """Run a Docker of its own beside the machine's; yield its address.

    It gets a bridge of its own and touches no firewall rule: with `--bridge=none` it would delete the first one's.
    """
    if os.getuid() != 0 or shutil.which("dockerd") is None:
        missing("a second Docker needs root and dockerd")
    subprocess.run(["ip", "link", "add", "name", _BRIDGE, "type", "bridge"], check=False, capture_output=True)
    subprocess.run(["ip", "address", "replace", "172.31.253.1/24", "dev", _BRIDGE], check=True, capture_output=True)
    url = f"unix://{folder}/s"
    command = ["dockerd", "--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", folder / "pid"]
    command += ["-H", url, "--bridge", _BRIDGE, "--iptables=false", "--ip-masq=false", "--ip-forward=false"]
    try:
        with _running(command, url, folder / "log"):
            yield url
    finally:
        subprocess.run(["ip", "link", "delete", _BRIDGE], check=False, capture_output=True)


@contextlib.contextmanager
def podman(folder: Path) -> Iterator[str]:
    """Run Podman's service for Docker's API; yield its address."""
    if shutil.which("podman") is None:
        missing("podman is not installed")
    (folder / "containers.conf").write_text(_PODMAN_SETTINGS)
    url = f"unix://{folder}/s"
    command = ["podman", "--root", folder / "data", "--runroot", folder / "exec"]
    with _running([*command, "system", "service", "--time=0", url], url, folder / "log", folder / "containers.conf"):
        yield url


@contextlib.contextmanager
def _running(command: list[Any], url: str, log: Path, settings: Path | None = None) -> Iterator[None]:
    """Run a service until the block ends; wait until it answers."""
    variables = {**os.environ, **({"CONTAINERS_CONF": str(settings)} if settings else {})}
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=variables, start_new_session=True)
    try:
        _wait_for(url, process, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _unmount_below(log.parent)


def _unmount_below(folder: Path) -> None:
    """Let go of what an engine left mounted in its own folder."""
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for point in sorted((point for point in mounted if point.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            connect(Host(url=url))
        except EngineError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(log.read_text()[-2000:]) from error
            time.sleep(0.1)
        else:
            return
