"""A real `llama_cpp.server` over a GGUF file, on a free port of loopback."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

START_S = 120.0
"""Longest wait for the file to be loaded."""


class LlamaServer:
    """The server as a context manager, run by the interpreter of the tests, whose lock has what it imports."""

    def __init__(self, model: Path, log: Path, context_tokens: int = 2048) -> None:
        self._model = model
        self._log = log
        self._context_tokens = context_tokens
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])

    @property
    def base_url(self) -> str:
        """Value for `judge.base_url`."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "llama_cpp.server", "--model", str(self._model), "--n_threads", "1"]
        command += ["--host", "127.0.0.1", "--port", str(self.port), "--n_ctx", str(self._context_tokens)]
        with self._log.open("wb") as stream:
            self._process = subprocess.Popen(command, stdout=stream, stderr=stream)
        deadline = time.monotonic() + START_S
        while not self._answers():
            said = self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                message = f"llama_cpp.server did not start:\n{said}"
                raise RuntimeError(message)
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/v1/models")
            return connection.getresponse().status == http.client.OK
        except OSError:
            return False
        finally:
            connection.close()
