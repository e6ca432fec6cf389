"""A small OpenAI-compatible endpoint on loopback, and the faults of real ones."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

Verdict = Callable[[Mapping[str, str]], str]
"""What the model says to a question: called with the object of the user's message, returns the answer's text."""


def prefers_longer(asked: Mapping[str, str]) -> str:
    """Judge by length, whatever the order; equal lengths tie."""
    first, second = len(asked["answer_a"]), len(asked["answer_b"])
    return json.dumps({"verdict": "tie" if first == second else "A" if first > second else "B"})


def prefers_first(_: Mapping[str, str]) -> str:
    """Judge by position alone."""
    return '{"verdict": "A"}'


@dataclass
class Faults:
    """What goes wrong. `statuses` are used up one per request, `cuts` and `bodies` likewise.

    `cuts`: bytes of the answer after which the connection breaks. `bodies`: what is sent in place of a completion.
    `stall`: nothing is sent before the server ends. `echo`: an error repeats the request's key.
    """

    statuses: list[int] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    stall: bool = False
    echo: bool = False
    headers: dict[str, str] = field(default_factory=dict)


class JudgeServer:
    """The endpoint as a context manager. `asked` holds the requests that it got, `keys` their keys.

    With `certificate`, a file of certificate and private key, it speaks TLS.
    """

    def __init__(self, verdict: Verdict = prefers_longer, certificate: Path | None = None) -> None:
        self.verdict = verdict
        self.faults = Faults()
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.headers: list[str] = []
        self.message: dict[str, Any] = {}
        self.finish_reason = "stop"
        self.usage: dict[str, int] | None = {"prompt_tokens": 100, "completion_tokens": 10}
        self.most_at_once = 0
        self.arrived = threading.Event()
        self.released = threading.Event()
        self._now = 0
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"endpoint": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._scheme = "http" if certificate is None else "https"
        if certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
            # The handshake is the handler's: one that a client leaves off must not hold up the others.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def base_url(self) -> str:
        """Value for `judge.base_url`."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}/v1"

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Return the run settings' table for this endpoint."""
        table = {"base_url": self.base_url, "key_variable": None, "timeout_s": 5.0, "concurrency": 4, "retries": 1}
        return {**table, **changes}

    def entered(self, request: dict[str, Any], key: str) -> None:
        """Note a request."""
        with self._lock:
            self.asked.append(request)
            self.keys.append(key)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        self.arrived.set()

    def left(self) -> None:
        """Note that a request was answered."""
        with self._lock:
            self._now -= 1

    def completion(self, request: Mapping[str, Any]) -> str:
        """Return the body of an answer."""
        content = self.verdict(json.loads(request["messages"][-1]["content"]))
        message = {"role": "assistant", "content": content, **self.message}
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason}
        found = {"id": "1", "object": "chat.completion", "created": 1, "model": "fake-1", "choices": [choice]}
        return json.dumps(found if self.usage is None else {**found, "usage": self.usage})


class _Handler(BaseHTTPRequestHandler):
    endpoint: JudgeServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None: ...

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.endpoint.headers.append(str(self.headers))
        self.endpoint.entered(request, key)
        try:
            answer = self._answer(request, key)
        finally:
            self.endpoint.left()  # before it is sent: whoever has it may ask the next question at once
        if answer is None:
            self.close_connection = True
        else:
            self._send(*answer)

    def _answer(self, request: Mapping[str, Any], key: str) -> tuple[int, str] | None:
        """Return status and text, or nothing, when the time has come to hang up."""
        faults = self.endpoint.faults
        if faults.stall:
            self.endpoint.released.wait()
            return None
        if self.path != "/v1/chat/completions":
            return 404, '{"error": {"message": "no such path"}}'
        if faults.statuses:
            said = f"Incorrect API key provided: {key}" if faults.echo else "something is wrong"
            return faults.statuses.pop(0), json.dumps({"error": {"message": said}})
        return 200, faults.bodies.pop(0) if faults.bodies else self.endpoint.completion(request)

    def _send(self, status: int, text: str) -> None:
        body, faults = text.encode(), self.endpoint.faults
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        for name, value in faults.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if faults.cuts:
            self.wfile.write(body[: faults.cuts.pop(0)])
            self.close_connection = True
        else:
            self.wfile.write(body)
