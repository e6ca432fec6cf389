"""Container engines for tests: the machine's own, a second Docker, a Podman; and a small image with a Python."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import docker
import pytest

from pipeline.engine.connection import connect, default_host
from pipeline.errors import EngineError
from pipeline.images.lock import LockedImage
from pipeline.settings import Host

BASE_LABEL = "fine-tune-pipeline.test-base"
BASE_VERSION = "1"
"""Goes up when the way of making the image changes; an image of another version is not used."""

_LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
_BRIDGE = "ftptest"
_PODMAN_SETTINGS = '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
_START_S = 30.0
_NOBODY = 65534
_STOP_S = 5.0


def missing(reason: str) -> NoReturn:
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
    return docker.APIClient(base_url=url, version="auto", timeout=600)  # images are loaded through it


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


@dataclass(frozen=True)
class Certificates:
    """An authority and what it signed, in a folder: `ca.pem`, and for `server` and `client` a certificate and a key."""

    folder: Path

    @classmethod
    def made(cls, folder: Path) -> Certificates:
        """Make them with openssl, for an engine at 127.0.0.1 and for a day."""
        if shutil.which("openssl") is None:
            missing("openssl is not installed, which makes certificates for tests")

        def openssl(*arguments: str) -> None:
            subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

        new = ("req", "-newkey", "rsa:2048", "-nodes", "-subj")
        openssl(*new, "/CN=authority", "-x509", "-days", "1", "-keyout", "ca-key.pem", "-out", "ca.pem")
        for name, use in (("server", "serverAuth"), ("client", "clientAuth")):
            openssl(*new, f"/CN={name}", "-keyout", f"{name}-key.pem", "-out", f"{name}.csr")
            (folder / f"{name}.ext").write_text(f"subjectAltName=IP:127.0.0.1\nextendedKeyUsage={use}\n")
            sign = ("x509", "-req", "-days", "1", "-in", f"{name}.csr", "-extfile", f"{name}.ext")
            openssl(*sign, "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-out", f"{name}.pem")
        return cls(folder)

    def host(self, url: str) -> Host:
        """Return the run settings of a client that has its certificate."""
        names = {"ca": "ca.pem", "certificate": "client.pem", "key": "client-key.pem"}
        return Host(url=url, **{setting: str(self.folder / name) for setting, name in names.items()})


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def second_docker(folder: Path, tls: tuple[Certificates, int] | None = None) -> Iterator[str]:
    """Run a Docker of its own beside the machine's; yield its address.

    With `tls` it also listens on a port of the loopback, for clients with a certificate. It gets a bridge of its own
    and touches no firewall rule: with `--bridge=none` it would delete the first one's.
    """
    if os.getuid() != 0 or shutil.which("dockerd") is None:
        missing("a second Docker needs root and dockerd")
    subprocess.run(["ip", "link", "add", "name", _BRIDGE, "type", "bridge"], check=False, capture_output=True)
    subprocess.run(["ip", "address", "replace", "172.31.253.1/24", "dev", _BRIDGE], check=True, capture_output=True)
    url = f"unix://{folder}/s"
    command = ["dockerd", "--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", folder / "pid"]
    command += ["-H", url, "--bridge", _BRIDGE, "--iptables=false", "--ip-masq=false", "--ip-forward=false"]
    if tls:
        certificates, port = tls
        keys = {"tlscacert": "ca.pem", "tlscert": "server.pem", "tlskey": "server-key.pem"}
        command += ["-H", f"tcp://127.0.0.1:{port}", "--tlsverify"]
        command += [f"--{option}={certificates.folder / name}" for option, name in keys.items()]
    try:
        with _running(command, url, folder / "log"):
            yield url
    finally:
        subprocess.run(["ip", "link", "delete", _BRIDGE], check=False, capture_output=True)


@contextlib.contextmanager
def ssh_server(folder: Path) -> Iterator[tuple[int, Path]]:
    """Run a real sshd on the loopback; yield its port and a configuration with which the real ssh gets in."""
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if sshd is None or shutil.which("ssh-keygen") is None or os.getuid() != 0:
        missing("a server for SSH needs root, sshd and ssh-keygen")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    port = free_port()
    (folder / "authorized").write_text((folder / "user.pub").read_text())
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        f"PidFile {folder}/sshd.pid\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
    )
    client = folder / "ssh_config"
    client.write_text(
        f"Host *\n  IdentityFile {folder}/user\n  IdentitiesOnly yes\n  UserKnownHostsFile {folder}/known\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)  # where sshd confines what it does not trust
    with subprocess.Popen([sshd, "-D", "-e", "-f", folder / "sshd_config"], stderr=subprocess.PIPE) as process:
        try:
            _wait_for_port(port, process)
            yield port, client
        finally:
            process.terminate()


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError(process.communicate()[1].decode())


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
def rootless_podman(folder: Path) -> Iterator[str]:
    """Run Podman's service as a user without rights, who has one number and so no containers; yield its address."""
    if os.getuid() != 0 or shutil.which("podman") is None or shutil.which("setpriv") is None:
        missing("a rootless Podman needs podman, setpriv, and root to become nobody")
    (folder / "containers.conf").write_text(_PODMAN_SETTINGS)
    for name in ("run", "home"):
        (folder / name).mkdir(mode=0o700)
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, _NOBODY, _NOBODY)
    url, settings = f"unix://{folder}/s", folder / "containers.conf"
    command = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
    command += ["env", f"HOME={folder}/home", f"XDG_RUNTIME_DIR={folder}/run"]
    command += ["podman", "--root", f"{folder}/data", "--runroot", f"{folder}/exec", "--storage-driver", "vfs"]
    try:
        with _running([*command, "system", "service", "--time=0", url], url, folder / "log", settings, group=True):
            yield url
    finally:
        for pause in folder.rglob("pause.pid"):  # it holds the user's name space open
            with contextlib.suppress(ProcessLookupError, ValueError):
                os.kill(int(pause.read_text()), signal.SIGKILL)


@contextlib.contextmanager
def _running(
    command: list[Any], url: str, log: Path, settings: Path | None = None, *, group: bool = False
) -> Iterator[None]:
    """Run a service until the block ends; wait until it answers. With `group` nothing that it started stays."""
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
        if group:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        _unmount_below(log.parent)


def remove_service_folder(folder: Path) -> None:
    """Remove an engine's folder. Helpers that outlive Podman's service mount in it once more: they get some time."""
    deadline = time.monotonic() + _START_S
    while folder.exists():
        _unmount_below(folder)
        try:
            shutil.rmtree(folder, ignore_errors=os.getuid() != 0)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


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
