"""What a browser that shows a local page would send, and whatever else one could send to its server."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from pipeline.local_page.server import LocalPageServer


class PageClient:
    """One connection to a page's server. `headers` go with every request."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        parts = urlsplit(url)
        self.url, self.host, self.path = url, parts.netloc, parts.path
        self.headers = dict(headers or {})
        self.connection = http.client.HTTPConnection(parts.netloc, timeout=20)

    def ask(self, name: str, *, path: str | None = None, body: Any = None, **headers: str) -> tuple[int, Any, bytes]:
        """Send a request; return status, headers and body. A header that is given as empty is not sent."""
        given = {"Host": self.host, **self.headers}
        if body is not None:
            given |= {"Origin": f"http://{self.host}", "Content-Type": "application/json"}
        given |= {key.replace("_", "-"): value for key, value in headers.items()}
        sent = json.dumps(body) if isinstance(body, dict) else body
        whole = f"{self.path if path is None else path}{name}"
        self.connection.putrequest("GET" if body is None else "POST", whole, skip_host=True)
        for key, value in given.items():
            if value:
                self.connection.putheader(key, value)
        if sent is not None:
            self.connection.putheader("Content-Length", str(len(sent.encode())))
        self.connection.endheaders(None if sent is None else sent.encode())
        answer = self.connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def json(self, name: str, body: Any = None) -> Any:
        """Return what a request that is answered says."""
        status, _, text = self.ask(name, body=body)
        assert status == 200, text
        return json.loads(text)


@contextmanager
def serving(server: LocalPageServer) -> Iterator[PageClient]:
    """Serve a page for the block; yield a client of it."""
    with server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        client = PageClient(server.url)
        try:
            yield client
        finally:
            client.connection.close()
            server.shutdown()
            thread.join()
