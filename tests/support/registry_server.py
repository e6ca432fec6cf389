"""A real registry on loopback: Debian's package `docker-registry`, with or without logins."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

import httpx
import pytest

USER, PASSWORD = "publisher", "correct-horse-9f2c"
HTPASSWD = "publisher:$2b$05$O85vt5wAFsa9a5/zlTwpDO6DAqBgbTHU76RmomIPPqvAz050Oek2y\n"
"""The password above, as bcrypt hashes it."""

_CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {folder}}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{port}"}}
{auth}"""


def registry_program() -> str:
    """Return the registry's program; skip where it is missing, fail in CI."""
    found = shutil.which("docker-registry")
    if found is None:
        message = "the Debian package docker-registry is not installed"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


class RegistryServer:
    """A registry that keeps its files in a folder, as a context manager."""

    def __init__(self, folder: Path, *, logins: bool = False) -> None:
        self._folder = folder
        self._logins = logins
        self.port = _free_port()

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "htpasswd").write_text(HTPASSWD)
        auth = f"auth: {{htpasswd: {{realm: test, path: {self._folder / 'htpasswd'}}}}}\n" if self._logins else ""
        config = self._folder / "config.yml"
        config.write_text(_CONFIG.format(folder=self._folder / "data", port=self.port, auth=auth))
        self._log = (self._folder / "log").open("wb")
        command = [registry_program(), "serve", str(config)]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT)
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._log.close()

    def _wait(self) -> None:
        for _ in range(200):
            try:
                httpx.get(f"http://127.0.0.1:{self.port}/v2/")
            except httpx.TransportError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.05)
            else:
                return
        pytest.fail(f"the registry did not start: {(self._folder / 'log').read_text()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
