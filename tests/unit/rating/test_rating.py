"""What a rater is shown, one item after the other, and that nothing tells him whose answers they are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.rating.rating import Rating, UnknownItemError, UnknownRaterError
from tests.support.rated import PROMPTS, SAME_AS_BASE, RatedBuild, texts

DIFFERENT = PROMPTS - SAME_AS_BASE


def join(rating: Rating, name: str = "花子") -> str:
    """Say who one is; return the page's token."""
    return str(rating.join(name, again=True)["rater"])


def test_every_pair_that_differs_is_shown_once(rating: Rating) -> None:
    """Until all have a vote; identical ones never."""
    token = join(rating)
    answer = rating.next(token)
    seen: list[str] = []
    while answer["item"]:
        assert (answer["done"], answer["total"]) == (len(seen), DIFFERENT)
        seen.append(answer["item"]["id"])
        assert answer["item"]["first"] != answer["item"]["second"]
        answer = rating.vote(token, seen[-1], "both_good", "")
    assert len(set(seen)) == len(seen) == DIFFERENT
    assert (answer["done"], answer["undo"]) == (DIFFERENT, True)


def test_it_goes_on_where_one_was(rating: Rating, built: RatedBuild) -> None:
    """After a reload, and in a new server on the same file."""
    token = join(rating)
    shown = rating.vote(token, rating.next(token)["item"]["id"], "first", "")
    assert rating.next(token) == shown
    assert Rating(rating.subject, built.items()[::-1], rating.votes).next(token) == shown


def test_raters_do_not_see_each_other(rating: Rating) -> None:
    """Each has all items, in an order of his own, under names of his own."""
    one, two = join(rating), join(rating, "次郎")
    first = rating.next(one)["item"]
    rating.vote(one, first["id"], "first", "")
    assert rating.next(two)["done"] == 0
    with pytest.raises(UnknownItemError):
        rating.vote(two, first["id"], "first", "")
    assert first["prompt"] != rating.next(two)["item"]["prompt"]


def test_a_vote_counts_for_the_form_that_stood_there(rating: Rating) -> None:
    """Whichever side it was on."""
    token, tuned = join(rating), set(texts()["verify-hf"])
    sides = []
    while (item := rating.next(token)["item"]) is not None:
        sides.append("first" if item["first"] in tuned else "second")
        rating.vote(token, item["id"], sides[-1], "")
    assert {vote.preferred for vote in rating.votes.all()} == {"form"}
    assert set(sides) == {"first", "second"}


def test_a_vote_that_was_taken_back_is_asked_again(rating: Rating) -> None:
    """With what was said, also after a reload; nothing is left to take back then."""
    token = join(rating)
    item = rating.next(token)["item"]
    rating.vote(token, item["id"], "second", " 短い ")
    answer = rating.undo(token)
    assert answer["item"] == {**item, "choice": "second", "comment": "短い"}
    assert (answer["done"], answer["undo"]) == (0, False)
    assert rating.next(token)["item"] == item
    assert rating.undo(token) == rating.next(token)


def test_the_reference_is_shown_on_demand_and_that_is_kept(rating: Rating) -> None:
    """It does not come with the item."""
    token = join(rating)
    item = rating.next(token)["item"]
    assert "参考" not in json.dumps(item, ensure_ascii=False)
    assert rating.open_reference(token, item["id"])["reference"].startswith("参考")
    rating.vote(token, item["id"], "first", "")
    assert [vote.opened for vote in rating.votes.all()] == [True]


def test_a_name_that_is_taken_is_asked_about(rating: Rating) -> None:
    """It says how many votes there are, and gives no token away before."""
    token = join(rating)
    rating.vote(token, rating.next(token)["item"]["id"], "first", "")
    assert rating.join("花子", again=False) == {"known": 1}
    assert rating.join("花子", again=True)["rater"] == token


def test_strangers_and_unknown_votes_are_refused(rating: Rating) -> None:
    """And nothing is saved."""
    token = join(rating)
    item = rating.next(token)["item"]["id"]
    for stranger in ("", "x"):
        with pytest.raises(UnknownRaterError):
            rating.vote(stranger, item, "first", "")
    with pytest.raises(UnknownItemError):
        rating.vote(token, "x", "first", "")
    with pytest.raises(UsageError, match="'form' is no vote"):
        rating.vote(token, item, "form", "")
    assert rating.votes.all() == []


def test_half_a_surrogate_pair_in_a_comment_is_saved_as_a_sign(rating: Rating) -> None:
    """JSON can hold one; no file can."""
    token = join(rating)
    rating.vote(token, rating.next(token)["item"]["id"], "first", "\ud800")
    assert [vote.comment for vote in rating.votes.all()] == ["?"]


def test_what_all_see_names_no_form(rating: Rating) -> None:
    """Only the recipe and how much there is to do."""
    about: dict[str, Any] = rating.about()
    expected = {"recipe": "few", "note": "", "language": "ja", "system_prompt": "題名を作るAIです。"}
    assert about == {**expected, "total": DIFFERENT}
