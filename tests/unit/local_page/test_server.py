"""What every local page refuses, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import NoSpaceError, PipelineError, UsageError
from pipeline.local_page.server import LocalPageServer, Request, RequestError, nothing
from tests.support.page_client import PageClient, serving


class Notes(LocalPageServer):
    """A page that keeps notes."""

    command = "notes"
    sent = "a note"
    shown = "the notes"

    def __init__(self, folder: Path, port: int = 0, address: str = "127.0.0.1") -> None:
        type(self).folder = folder
        self.notes: list[str] = []
        self.heard: list[PipelineError] = []
        super().__init__(port, address)

    def get(self, request: Request) -> Any:
        """Return the notes, from one on."""
        if request.name == "unreadable":
            raise FileNotFoundError(2, "No such file")
        if request.name != "notes":
            raise nothing()
        return {"notes": self.notes[request.number("from", 0) :]}

    def post(self, request: Request, told: Mapping[str, Any]) -> Any:
        """Keep a note."""
        if request.name != "note":
            raise nothing()
        if told.get("text") == "full":
            raise NoSpaceError("no space left", advice="free space")
        if type(told.get("text")) is not str:
            raise RequestError(HTTPStatus.BAD_REQUEST, "a note has a `text`")
        self.notes.append(told["text"])
        return {"kept": len(self.notes)}

    def failed(self, error: PipelineError) -> None:
        """Remember what the page was told of."""
        self.heard.append(error)


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    """A page that holds a secret note."""
    for kind in ("html", "css", "js"):
        (tmp_path / f"page.{kind}").write_text(f"the page's {kind}")
    found = Notes(tmp_path)
    found.notes.append("secret")
    return found


@pytest.fixture
def client(notes: Notes) -> Iterator[PageClient]:
    """A client of it."""
    with serving(notes) as found:
        yield found


def test_the_page_and_its_files_load(client: PageClient) -> None:
    """And may load nothing else, be framed or be kept."""
    for name, kind in (("", "text/html"), ("page.css", "text/css"), ("page.js", "text/javascript")):
        status, headers, _ = client.ask(name)
        assert (status, headers.get_content_type()) == (200, kind)
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert (headers["X-Content-Type-Options"], headers["Cache-Control"]) == ("nosniff", "no-store")


def test_what_is_told_is_kept(client: PageClient, notes: Notes) -> None:
    """And asked for again."""
    assert client.json("note", {"text": "二"}) == {"kept": 2}
    assert client.json("notes?from=1") == {"notes": ["二"]}
    assert client.ask("notes?from=-1")[0] == 400


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
def test_a_post_of_another_page_is_refused(
    client: PageClient, notes: Notes, headers: dict[str, str], status: int
) -> None:
    """Whatever a browser lets another site send."""
    assert client.ask("note", body={"text": "x"}, **headers)[0] == status
    assert notes.notes == ["secret"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "", "127.0.0.1.evil.example:80", "192.168.0.2"])
def test_another_host_name_is_refused(client: PageClient, host: str) -> None:
    """A name that was bound to 127.0.0.1 to read what is served here."""
    status, _, body = client.ask("notes", Host=host)
    assert status in (400, 403)
    assert b"secret" not in body


def test_a_forwarded_port_is_no_stranger(client: PageClient) -> None:
    """`ssh -L 9000:127.0.0.1:8000`: the browser names its own port."""
    assert client.ask("notes", Host="localhost:9000", Origin="http://localhost:9000")[0] == 200


@pytest.mark.parametrize("path", ["/", "/x/", "/%C3%BC/", "//", ""])
def test_without_the_secret_path_there_is_nothing(client: PageClient, path: str) -> None:
    """Another user of the machine can reach the port, and learns nothing."""
    status, _, body = client.ask("notes", path=path)
    assert status in (400, 404)
    assert b"secret" not in body


@pytest.mark.parametrize("body", ["[]", "{", "1", "", {}, {"text": 5}, {"text": "x" * 70_000}])
def test_a_wrong_request_is_answered_in_words(client: PageClient, notes: Notes, body: Any) -> None:
    """And nothing is kept."""
    status, _, answer = client.ask("note", body=body)
    assert status == 400
    assert json.loads(answer)["error"]
    assert notes.notes == ["secret"]


@pytest.mark.parametrize("length", ["9" * 5000, "65537", "-1", "x"])
def test_a_length_that_no_note_has_is_answered_in_words(client: PageClient, length: str) -> None:
    """Also one of more digits than Python reads."""
    client.connection.putrequest("POST", f"{client.path}note", skip_host=True)
    given = {"Host": client.host, "Origin": f"http://{client.host}", "Content-Type": "application/json"}
    for name, value in {**given, "Content-Length": length}.items():
        client.connection.putheader(name, value)
    client.connection.endheaders()
    answer = client.connection.getresponse()
    assert (answer.status, "says its length" in json.loads(answer.read())["error"]) == (400, True)


def test_there_is_nothing_beside_the_page(client: PageClient, tmp_path: Path) -> None:
    """No path leads to another file, and no folder is listed."""
    (tmp_path / "other.html").write_text("other")
    for name in ("other.html", "../other.html", "..%2fother.html", "page.html", "./", "nonesuch"):
        assert client.ask(name)[0] == 404
    assert client.ask("nonesuch", body={})[0] == 404


def test_errors_are_told_to_the_page_and_to_who_serves_it(client: PageClient, notes: Notes) -> None:
    """The connection lives on."""
    status, _, body = client.ask("note", body={"text": "full"})
    assert status == 409
    assert json.loads(body)["error"] == "no space left\n  do:    free space"
    assert [error.what for error in notes.heard] == ["no space left"]
    status, _, body = client.ask("unreadable")
    assert (status, json.loads(body)["error"]) == (
        500,
        "the notes cannot be read any more: No such file; start `notes` again",
    )
    assert client.json("notes") == {"notes": ["secret"]}


def test_it_listens_on_loopback_alone(client: PageClient, notes: Notes) -> None:
    """Unless told otherwise."""
    assert notes.server_address[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_told(client: PageClient, notes: Notes, tmp_path: Path) -> None:
    """A mistake of the command line."""
    port = notes.server_address[1]
    with pytest.raises(UsageError, match=f"port {port} cannot be used"):
        Notes(tmp_path, port)


def test_an_address_of_another_machine_is_not_blamed_on_the_port(tmp_path: Path) -> None:
    """192.0.2.1 is for documents (RFC 5737): no machine has it."""
    with pytest.raises(UsageError, match="no address of this machine") as raised:
        Notes(tmp_path, address="192.0.2.1")
    assert "--host" in raised.value.advice


def test_another_address_is_its_own_host_name(tmp_path: Path) -> None:
    """127.0.0.2 stands for an address of the network here; its name is known, others are not."""
    (tmp_path / "page.html").write_text("page")
    with serving(Notes(tmp_path, address="127.0.0.2")) as client:
        assert client.url.startswith("http://127.0.0.2:")
        assert client.ask("")[0] == 200
        assert client.ask("", Host="evil.example")[0] == 403


def test_ipv6_works_as_well(tmp_path: Path) -> None:
    """Its address stands in brackets."""
    (tmp_path / "page.html").write_text("page")
    with serving(Notes(tmp_path, address="::1")) as client:
        assert client.url.startswith("http://[::1]:")
        assert client.ask("")[0] == 200


@pytest.mark.parametrize("path", ["http://[x", "http://[::1/notes"])
def test_an_address_that_is_none_is_answered(client: PageClient, path: str) -> None:
    """A request line may hold anything."""
    assert client.ask("", path=path)[0] == 404


@pytest.mark.parametrize(("error", "tracebacks"), [(BrokenPipeError(), 0), (TimeoutError(), 0), (KeyError(), 1)])
def test_a_browser_that_has_gone_leaves_no_traceback(
    notes: Notes, capsys: pytest.CaptureFixture[str], error: Exception, tracebacks: int
) -> None:
    """A closed tab is no fault, and the terminal is the person's; a fault of ours is shown."""
    with notes:
        try:
            raise error
        except type(error):
            notes.handle_error(None, ("127.0.0.1", 1))
    assert capsys.readouterr().err.count("Traceback") == tracebacks
