"""The raters' page over real HTTP: what it says, what it takes, and that nothing tells whose an answer is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.errors import NoSpaceError, StoreError
from pipeline.rating.rating import Rating
from pipeline.rating.server import RatingServer, preferred_language
from pipeline.rating.votes import Votes
from tests.support.page_client import PageClient, serving
from tests.support.rated import PROMPTS, SAME_AS_BASE, RatedBuild, texts

FORMS = re.compile(rb"\b(base|tuned|adapter|merged|f16|q4_k_m|against|verify-\w+)\b", re.IGNORECASE)


@pytest.fixture
def client(rating: Rating) -> Iterator[PageClient]:
    """A client of a served rating."""
    with serving(RatingServer(rating, 0)) as found:
        yield found


def joined(client: PageClient, name: str = "花子") -> PageClient:
    """Say who one is; further requests speak for him."""
    client.headers["X-Rater"] = client.json("rater", {"name": name, "again": True})["rater"]
    return client


def test_a_vote_is_in_the_file_when_it_is_answered(client: PageClient, rating: Rating) -> None:
    """And the next item comes with the answer."""
    joined(client)
    item = client.json("item")["item"]
    answer = client.json("vote", {"item": item["id"], "choice": "first", "comment": "短い"})
    assert (answer["done"], answer["item"]["id"] != item["id"]) == (1, True)
    with Votes(rating.votes.path) as other:
        assert [(vote.choice, vote.comment) for vote in other.all()] == [("first", "短い")]


def test_nothing_tells_whose_an_answer_is(client: PageClient, built: RatedBuild) -> None:
    """No form's name in any answer, its headers, or the page's own files; sides change, and so do the items' names."""
    told = [client.ask(name) for name in ("", "page.css", "page.js", "about")]
    told.append(client.ask("rater", body={"name": "花子", "again": False}))
    client.headers["X-Rater"] = json.loads(told[-1][2])["rater"]
    sides = []
    for _ in range(PROMPTS - SAME_AS_BASE):
        told.append(client.ask("item"))
        item = json.loads(told[-1][2])["item"]
        sides.append(item["first"] in texts()["verify-hf"])
        told.append(client.ask("reference", body={"item": item["id"]}))
        told.append(client.ask("vote", body={"item": item["id"], "choice": "skip", "comment": ""}))
    told.append(client.ask("undo", body={}))
    assert all(status == 200 for status, _, _ in told)
    for _, headers, body in told:
        assert not FORMS.findall(body)
        shown = " ".join(f"{name}: {value}" for name, value in headers.items() if name != "Content-Security-Policy")
        assert not FORMS.findall(shown.encode())
    assert 8 < sum(sides) < len(sides) - 8


def test_an_item_has_nothing_but_what_is_shown(client: PageClient) -> None:
    """No place in the build, no length, no score."""
    assert client.json("about").keys() == {"recipe", "note", "language", "system_prompt", "total", "prefers"}
    answer = joined(client).json("item")
    assert answer.keys() == {"name", "item", "done", "total", "undo"}
    assert answer["item"].keys() == {"id", "prompt", "first", "second"}


def test_two_raters_at_once(client: PageClient, rating: Rating) -> None:
    """Each has his own connection, order and progress."""
    two = PageClient(client.url)
    joined(client)
    joined(two, "次郎")
    for _ in range(3):
        for one, choice in ((client, "first"), (two, "both_bad")):
            one.json("vote", {"item": one.json("item")["item"]["id"], "choice": choice, "comment": ""})
    two.connection.close()
    assert client.json("item")["done"] == 3
    votes = [(vote.rater_name, vote.choice) for vote in rating.votes.all()]
    assert votes == [("花子", "first"), ("次郎", "both_bad")] * 3


def test_a_stranger_is_asked_who_he_is(client: PageClient) -> None:
    """The page shows the question for the name then."""
    assert client.ask("item")[0] == 401
    for name, body in (
        ("vote", {"item": "x", "choice": "first", "comment": ""}),
        ("undo", {}),
        ("reference", {"item": ""}),
    ):
        assert client.ask(name, body=body)[0] == 401


def test_an_item_of_another_build_is_gone(client: PageClient, rating: Rating) -> None:
    """The page loads the next one then."""
    status, _, body = joined(client).ask("vote", body={"item": "0" * 24, "choice": "first", "comment": ""})
    assert (status, "another build" in json.loads(body)["error"]) == (410, True)
    assert rating.votes.all() == []


@pytest.mark.parametrize(
    ("name", "body"),
    [
        *(("rater", {}), ("rater", {"name": 5, "again": True}), ("rater", {"name": "x", "again": 1})),
        *(("vote", {"item": "x", "choice": "first"}), ("vote", {"item": "x", "choice": None, "comment": ""})),
        ("undo", {"item": "x"}),
    ],
)
def test_a_request_has_its_members_and_no_other(client: PageClient, rating: Rating, name: str, body: Any) -> None:
    """In words, with a status of its own."""
    assert joined(client).ask(name, body=body)[0] == 400
    assert rating.votes.all() == []


def test_what_cannot_be_saved_is_told_on_both_sides(rating: Rating, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page gets an error in place of the next item; whoever serves it hears of it."""
    heard: list[StoreError] = []

    def refuse(*_: Any, **__: Any) -> None:
        raise NoSpaceError("no space left on the disk", where="ratings.sqlite")

    with serving(RatingServer(rating, 0, failed=heard.append)) as client:
        item = joined(client).json("item")["item"]["id"]
        monkeypatch.setattr(rating.votes, "save", refuse)
        status, _, body = client.ask("vote", body={"item": item, "choice": "first", "comment": ""})
        assert (status, json.loads(body).keys()) == (409, {"error"})
        assert client.json("item")["done"] == 0
    assert [error.what for error in heard] == ["no space left on the disk"]


def test_a_wrong_name_is_no_matter_for_the_terminal(rating: Rating) -> None:
    """The rater can mend it."""
    heard: list[StoreError] = []
    with serving(RatingServer(rating, 0, failed=heard.append)) as client:
        assert client.ask("rater", body={"name": " ", "again": True})[0] == 409
    assert heard == []


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        *(("", "en"), ("ja", "ja"), ("ja-JP,en;q=0.5", "ja"), ("en,ja;q=0.9", "en"), ("de,ja;q=0.3", "ja")),
        *(("en;q=0.1, ja ; q=0.2", "ja"), ("*", "en"), ("ja;q=x", "en"), ("fr", "en")),
    ],
)
def test_the_language_that_the_browser_prefers(accepted: str, language: str) -> None:
    """By the weights of the header; English where it asks for neither."""
    assert preferred_language(accepted) == language


def test_the_page_hears_of_it(client: PageClient) -> None:
    """The switch on the page goes before it."""
    headers = {"Accept-Language": "ja,en;q=0.1"}
    client.headers |= headers
    assert client.json("about")["prefers"] == "ja"
