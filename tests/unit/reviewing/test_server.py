"""The page over real HTTP: what it answers, and whom it refuses."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.reviewing.server import ReviewServer
from tests.support.page_client import PageClient
from tests.support.review_rows import TAGS, review_of


class Browser(PageClient):
    """What a browser that shows the page would send."""

    def __init__(self, server: ReviewServer) -> None:
        super().__init__(server.url)
        self.server = server
        self.port = server.server_address[1]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A served review of a few rows."""
    review = review_of(tmp_path)
    with ReviewServer(review, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        found = Browser(server)
        yield found
        found.connection.close()
        server.shutdown()
        thread.join()
    review.rows.close()


def test_the_page_and_its_files_load(browser: Browser) -> None:
    """And may load nothing else."""
    for name, kind in (("", "text/html"), ("page.css", "text/css"), ("page.js", "text/javascript")):
        status, headers, body = browser.ask(name)
        assert (status, headers.get_content_type()) == (200, kind)
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert b"http://" not in body
        assert b"https://" not in body


def test_rows_come_in_pages_and_filtered(browser: Browser) -> None:
    """By kind and by text."""
    page = browser.json("rows?offset=2&limit=3")
    assert (page["total"], [row["place"] for row in page["rows"]]) == (9, ["b.jsonl:3", "b.jsonl:4", "b.jsonl:5"])
    found = browser.json("rows?kinds=tag-list,near-duplicate&text=%E6%95%A3%E6%AD%A9")
    assert [row["place"] for row in found["rows"]] == ["b.jsonl:5"]
    assert browser.json("summary")["splits"] == {"train": 3, "validation": 1, "test": 1}
    assert browser.json("sample?seed=3")["total"] == 9


def test_an_answer_has_a_bound(browser: Browser) -> None:
    """Whoever asks for a million rows gets two hundred."""
    assert len(browser.json("rows?limit=1000000")["rows"]) == 9
    status, _, _ = browser.ask("rows?limit=-1")
    assert status == 400


def test_an_overrule_is_in_the_file_when_it_is_answered(browser: Browser) -> None:
    """And the row says so."""
    row = browser.json("rows?kinds=tag-list")["rows"][0]
    answer = browser.json("overrule", {"n": row["n"], "overruled": True, "reason": "題名"})
    assert answer["overruled"] == "keep"
    (line,) = browser.server.review.target.path.read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["text"] == TAGS


def test_what_cannot_be_kept_is_answered_in_words(browser: Browser) -> None:
    """No traceback, and the connection lives on for the next request."""
    row = browser.json("rows?kinds=exact-duplicate")["rows"][0]
    status, _, body = browser.ask("overrule", body={"n": row["n"], "overruled": True})
    assert status == 409
    assert "cannot be kept" in json.loads(body)["error"]
    assert browser.json("summary")["recipe"] == "few"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ({"Host": "evil.example"}, 403),
    ],
)
def test_a_post_of_another_page_is_refused(browser: Browser, headers: dict[str, str], status: int) -> None:
    """Whatever a browser lets another site send; nothing is saved."""
    row = browser.json("rows?kinds=tag-list")["rows"][0]
    found, _, _ = browser.ask("overrule", body={"n": row["n"], "overruled": True}, **headers)
    assert found == status
    assert not browser.server.review.target.path.exists()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "", "127.0.0.1.evil.example:80", "192.168.0.2"])
def test_another_host_name_is_refused(browser: Browser, host: str) -> None:
    """A name that was bound to 127.0.0.1 to read what is served here."""
    status, _, body = browser.ask("summary", Host=host)
    assert status in (400, 403)
    assert b"few" not in body


def test_a_forwarded_port_is_no_stranger(browser: Browser) -> None:
    """`ssh -L 9000:127.0.0.1:8000`: the browser names its own port."""
    status, _, _ = browser.ask("summary", Host="localhost:9000", Origin="http://localhost:9000")
    assert status == 200


@pytest.mark.parametrize("secret", ["", "x", "%C3%BC"])
def test_without_the_secret_path_there_is_nothing(browser: Browser, secret: str) -> None:
    """Another user of the machine can reach the port, and learns nothing."""
    status, _, body = browser.ask("rows", path=f"/{secret}/")
    assert status == 404
    assert TAGS.encode() not in body


@pytest.mark.parametrize(
    "body",
    [
        *("[]", "{", "1", ""),
        *({}, {"n": "1", "overruled": True}, {"n": True, "overruled": True}, {"n": 1, "overruled": 1}),
        {"n": 1, "overruled": True, "reason": 5},
        {"n": 1, "overruled": True, "reason": "x" * 70_000},
    ],
)
def test_a_wrong_request_is_answered_and_saves_nothing(browser: Browser, body: Any) -> None:
    """In words, with a status of its own."""
    status, _, answer = browser.ask("overrule", body=body)
    assert status == 400
    assert json.loads(answer)["error"]
    assert not browser.server.review.target.path.exists()


def test_there_is_nothing_beside_the_page(browser: Browser) -> None:
    """No path leads to another file."""
    for name in ("server.py", "../server.py", "..%2f..%2foverrules.py", "page.html", "overrule"):
        assert browser.ask(name)[0] == 404
    assert browser.ask("rows", body={})[0] == 404


def test_it_listens_on_loopback_alone(browser: Browser) -> None:
    """Other machines find nothing."""
    assert browser.server.server_address[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_told(browser: Browser) -> None:
    """A mistake of the command line."""
    with pytest.raises(UsageError, match=f"port {browser.port} cannot be used"):
        ReviewServer(browser.server.review, browser.port)
