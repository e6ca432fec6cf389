"""Hostile visitors of the local pages: requests of any form to `review` and `rate`."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.local_page.server import LocalPageServer
from pipeline.rating.rating import Rating, Subject
from pipeline.rating.server import RatingServer
from pipeline.rating.votes import NAME, Votes
from pipeline.reviewing.server import ReviewServer
from tests.fuzz.hostile import DEPTH, NAMES, VALUES, damaged, damaged_json
from tests.fuzz.profile import fuzzed
from tests.support.page_client import PageClient, serving
from tests.support.rated import RatedBuild
from tests.support.review_rows import review_of

REFUSALS: Final = {400, 401, 403, 404, 405, 409, 410, 411, 413, 414, 415, 431, 501, 505}


class Visitor:
    """Sends bytes as they are, and reads the answer."""

    def __init__(self, client: PageClient, capfd: Any) -> None:
        self.client = client
        self.host, _, port = client.host.partition(":")
        self.port = int(port)
        self.capfd = capfd

    def send(self, content: bytes) -> int:
        """Return the status of what is answered; 0 where the connection is closed without an answer."""
        with socket.create_connection((self.host, self.port), timeout=10) as connection:
            answer = b""
            with contextlib.suppress(OSError):  # the server may refuse, and close, before it has read all
                connection.sendall(content)
                connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                while part := connection.recv(65536):
                    answer += part
        words = answer.split(b" ", 2)
        return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0

    def post(self, name: str, body: bytes, *headers: str, length: str | None = None) -> int:
        """Return the status of a POST."""
        lines = [f"POST {self.client.path}{name} HTTP/1.1", f"Host: {self.client.host}", *headers]
        lines += [f"Origin: http://{self.client.host}", "Content-Type: application/json", "Connection: close"]
        lines += [f"Content-Length: {len(body) if length is None else length}"]
        return self.send("\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body)

    def check(self, status: int) -> None:
        """The request was answered or refused; nothing broke, nothing was printed, and the page still serves."""
        printed = "".join(self.capfd.readouterr())
        assert "Traceback" not in printed, printed[-2000:]
        assert status in {0, 200} or status in REFUSALS, status


def visiting(server: LocalPageServer, capfd: Any) -> Iterator[Visitor]:
    """Serve a page for a visitor."""
    with serving(server) as client:
        yield Visitor(client, capfd)
        assert client.ask("page.css")[0] == 200


@pytest.fixture
def review(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Visitor]:
    """A visitor of a review."""
    found = review_of(tmp_path)
    yield from visiting(ReviewServer(found, 0), capfd)
    found.rows.close()


@pytest.fixture
def rating(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Visitor]:
    """A visitor of a rating, known to it by a token."""
    built = RatedBuild(tmp_path)
    with Votes(built.folder / NAME) as votes:
        subject = Subject(recipe="few", language="ja", system_prompt="")
        for visitor in visiting(RatingServer(Rating(subject, built.items(), votes), 0), capfd):
            token = visitor.client.json("rater", {"name": "a", "again": False})["rater"]
            visitor.client.headers = {"X-Rater": token}
            yield visitor


OVERRULE: Final[dict[str, Any]] = {"n": 1, "overruled": True, "reason": "a title"}


@fuzzed(0.5)
@given(body=damaged_json(OVERRULE))
@example(body=b'{"n": 99999999999999999999999, "overruled": true, "reason": ""}')
@example(body=b'{"n": -1, "overruled": true, "reason": ""}')
@example(body=b'{"n": 1, "overruled": true, "reason": "\\ud800"}')
@example(body=b"[" * 60_000)
def test_overrules(body: bytes, review: Visitor) -> None:
    """Numbers that no row has, reasons that no file can hold, bodies of any type and depth."""
    review.check(review.post("overrule", body))


_QUERIES: Final = st.sampled_from(
    [
        "rows?offset=-1",
        "rows?limit=999999999999999",
        "rows?offset=99999999999999999999",
        "rows?text=%00%ff%ed%a0%80",
        "rows?kinds=" + "a," * 3000,
        "rows?kinds=train&text=" + "%F0" * 3000,
        "sample?seed=999999999999999",
        "sample?seed=%D9%A3",
        "../../etc/passwd",
        "..%2f..%2fpage.py",
        "page.py",
        "server.py",
        "%00",
        "rows?" + "a=1&" * 5000,
        "rows?offset=1e3",
    ]
)


@fuzzed(0.4)
@given(query=_QUERIES)
def test_queries(query: str, review: Visitor) -> None:
    """Numbers, texts and names that the page never asks for."""
    review.check(
        review.send(f"GET {review.client.path}{query} HTTP/1.0\r\nHost: {review.client.host}\r\n\r\n".encode())
    )


VOTE: Final[dict[str, Any]] = {"item": "x", "choice": "first", "comment": ""}


@fuzzed(0.5)
@given(
    name=st.sampled_from(["vote", "rater", "undo", "reference"]),
    body=st.one_of(
        damaged_json(VOTE),
        st.builds(
            lambda name, again: json.dumps({"name": name, "again": again}).encode(), st.one_of(NAMES, VALUES), VALUES
        ),
    ),
)
@example(name="rater", body=b'{"name": "\\ud800", "again": false}')
@example(name="rater", body=json.dumps({"name": "\ufdfa" * 3000, "again": False}).encode())
@example(name="vote", body=b'{"item": "\\ud800", "choice": "\\ud800", "comment": "\\ud800"}')
def test_votes(name: str, body: bytes, rating: Visitor) -> None:
    """Names, items, choices and comments of any type."""
    rating.check(rating.post(name, body, f"X-Rater: {rating.client.headers['X-Rater']}"))


@fuzzed(0.5)
@given(data=st.data())
def test_damaged_requests(data: st.DataObject, review: Visitor) -> None:
    """A request line and headers with flipped bits, cuts and foreign bytes."""
    request = f"GET {review.client.path}summary HTTP/1.1\r\nHost: {review.client.host}\r\nConnection: close\r\n\r\n"
    review.check(review.send(data.draw(damaged(request.encode()))))


@pytest.mark.parametrize("length", ["9" * 5000, "-1", "1e3", "", "\u0663", "99999999", "0x10", " ", "1_0"])
def test_lengths_that_are_none(length: str, review: Visitor) -> None:
    """A body whose length is no number, or a number of five thousand digits, is refused in words."""
    status = review.post("overrule", b"{}", length=length)
    review.check(status)
    assert status == 400


@pytest.mark.parametrize("target", ["//[::1", "//[x]/", "http://[", "/%", "*", "/" + "a" * 60_000])
def test_addresses_that_are_none(target: str, review: Visitor) -> None:
    """What the library of addresses cannot take apart is refused in words."""
    request = f"GET {target} HTTP/1.1\r\nHost: {review.client.host}\r\nConnection: close\r\n\r\n"
    status = review.send(request.encode())
    review.check(status)
    assert status in REFUSALS


def test_a_deep_body_is_refused(review: Visitor) -> None:
    """Deeper than a stack is high, and short enough to be read."""
    assert DEPTH > 60_000
    assert review.post("overrule", b"[" * 60_000) == 400
