"""An engine behind SSH: the system's own `ssh` forwards its socket, with the user's keys and configuration.

The SDK's own way needs paramiko, another implementation of SSH with settings of its own.
"""

from __future__ import annotations

import atexit
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.errors import EngineError

_REMOTE_SOCKET = "/var/run/docker.sock"
_OPENING_S = 20.0


class Tunnel:
    """Forwards `ssh://[user@]host[:port][/path/of/socket]` to `url`, a local socket, until this process ends."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._folder = tempfile.TemporaryDirectory(prefix="engine-")
        self._socket = Path(self._folder.name) / "engine.sock"
        self.url = f"unix://{self._socket}"
        target = f"{parts.username}@{parts.hostname}" if parts.username else str(parts.hostname)
        port = ["-p", str(parts.port)] if parts.port else []
        forward = f"{self._socket}:{parts.path if parts.path.strip('/') else _REMOTE_SOCKET}"
        options = ["-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-o", "ServerAliveInterval=15"]
        self._process = subprocess.Popen(
            ["ssh", "-N", "-T", *options, *port, "-L", forward, target],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a Ctrl-C here must still reach the container through it
        )
        atexit.register(self.close)
        self._wait(address)

    def _wait(self, address: str) -> None:
        deadline = time.monotonic() + _OPENING_S
        while not self._socket.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.close()
                said = (self._process.stderr.read() if self._process.stderr else "").strip()
                advice = "make `ssh` to that host work without a question (a key, a known host), then run again"
                raise EngineError(f"no SSH connection to the container engine: {said}", where=address, advice=advice)
            time.sleep(0.02)

    def close(self) -> None:
        """End the connection."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()
