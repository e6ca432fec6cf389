"""The raters' page in a real browser: keys, reload, two languages, and nothing that tells or asks elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from pipeline.errors import NoSpaceError
from pipeline.rating.rating import Rating
from pipeline.rating.server import RatingServer
from tests.support.browser import Watched, chromium, watched
from tests.support.page_client import serving
from tests.support.rated import MARKUP, PROMPTS, SAME_AS_BASE

TOTAL = PROMPTS - SAME_AS_BASE
FORMS = re.compile(r"\b(base|tuned|adapter|merged|f16|q4_k_m|against|verify-\w+)\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests; each page has a profile of its own."""
    with chromium() as found:
        yield found


@pytest.fixture
def url(rating: Rating) -> Iterator[str]:
    """The address of a served rating."""
    with serving(RatingServer(rating, 0)) as client:
        yield client.url


@pytest.fixture
def seen(browser: Browser, url: str) -> Iterator[Watched]:
    """The page, in English; in the end it has complained of nothing and asked nobody else."""
    with watched(browser, url, locale="en-US") as found:
        yield found
    assert found.problems == []
    assert all(request.startswith(url) for request in found.requests)


def join(page: Page, name: str = "花子") -> None:
    """Say who one is, by keyboard alone."""
    expect(page.locator("#name")).to_be_focused()
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    expect(page.locator("#item")).to_be_visible()


def press(page: Page, key: str, status: str = "Saved.") -> None:
    """Press a key and wait for what the page says."""
    before = page.locator("#count").inner_text()
    page.keyboard.press(key)
    expect(page.locator("#status")).to_have_text(status)
    expect(page.locator("#count")).not_to_have_text(before)


def test_votes_by_keyboard(seen: Watched, rating: Rating) -> None:
    """Digits, arrows, skip: each is one vote of its kind, on what was shown."""
    join(seen.page)
    for key in ("1", "ArrowLeft", "2", "ArrowRight", "3", "4", "s"):
        press(seen.page, key)
    said = [vote.choice for vote in rating.votes.all()]
    assert said == ["first", "first", "second", "second", "both_good", "both_bad", "skip"]
    expect(seen.page.locator("#count")).to_have_text(f"7 of {TOTAL} rated")


def test_a_vote_by_touch(browser: Browser, url: str, rating: Rating) -> None:
    """On a telephone, with targets of 44 pixels and more; nothing is wider than the screen."""
    with watched(browser, url, locale="en-US", viewport={"width": 360, "height": 740}, has_touch=True) as seen:
        page = seen.page
        page.locator("#name").fill("花子")
        page.locator("#join button.main").tap()
        page.locator(".votes button").first.wait_for()
        for button in page.locator(".votes button").all():
            box = button.bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) >= 44
        assert page.locator("html").bounding_box()["width"] <= 360  # type: ignore[index]
        page.locator("[data-choice=both_good]").tap()
        expect(page.locator("#status")).to_have_text("Saved.")
    assert [vote.choice for vote in rating.votes.all()] == ["both_good"]


def test_a_reload_goes_on_where_one_was(seen: Watched) -> None:
    """Without asking for the name again."""
    page = seen.page
    join(page)
    press(page, "1")
    shown = page.locator("#first").inner_text(), page.locator("#prompt").inner_text()
    page.reload()
    expect(page.locator("#count")).to_have_text(f"1 of {TOTAL} rated")
    assert (page.locator("#first").inner_text(), page.locator("#prompt").inner_text()) == shown


def test_undo_shows_what_was_said(seen: Watched, rating: Rating) -> None:
    """With the comment, which can be changed."""
    page = seen.page
    join(page)
    prompt = page.locator("#prompt").inner_text()
    page.keyboard.press("c")
    page.keyboard.type("s1u")  # keys are letters while one writes
    page.keyboard.press("Escape")
    press(page, "2")
    press(page, "u", "Taken back. You had said: B is better")
    assert (page.locator("#prompt").inner_text(), page.locator("#comment").input_value()) == (prompt, "s1u")
    assert rating.votes.all() == []
    press(page, "3")
    assert [(vote.choice, vote.comment) for vote in rating.votes.all()] == [("both_good", "s1u")]


def test_a_key_that_is_held_down_is_one_vote(seen: Watched, rating: Rating) -> None:
    """Nobody rates what he has not seen."""
    join(seen.page)
    for _ in range(5):
        seen.page.keyboard.down("1")  # from the second on, the browser says that the key repeats
    expect(seen.page.locator("#count")).to_have_text(f"1 of {TOTAL} rated")
    seen.page.keyboard.up("1")
    assert len(rating.votes.all()) == 1


def test_two_raters_in_two_browsers(seen: Watched, browser: Browser, url: str, rating: Rating) -> None:
    """At once, each with his own progress; a third who gives a name that is taken is asked first."""
    join(seen.page)
    with watched(browser, url, locale="en-US") as other:
        join(other.page, "次郎")
        for _ in range(3):
            press(seen.page, "1")
            press(other.page, "2")
        expect(other.page.locator("#count")).to_have_text(f"3 of {TOTAL} rated")
    with watched(browser, url, locale="en-US") as third:
        third.page.locator("#name").fill("花子")
        third.page.keyboard.press("Enter")
        expect(third.page.locator("#known-text")).to_have_text("There are votes under this name already: 3")
        third.page.locator("#again").click()
        expect(third.page.locator("#count")).to_have_text(f"3 of {TOTAL} rated")
    assert len(rating.votes.all()) == 6


def test_no_answer_of_the_server_names_a_form(seen: Watched) -> None:
    """Pages, scripts, data, all that a curious rater finds in the browser's tools."""
    page = seen.page
    join(page)
    page.keyboard.press("r")
    expect(page.locator("#reference")).to_contain_text("Reference: 参考")
    press(page, "1")
    press(page, "u", "Taken back. You had said: A is better")
    bodies = [response.text() for response in seen.responses if response.status == 200]
    assert len(bodies) >= 8
    assert [FORMS.findall(body) for body in bodies] == [[]] * len(bodies)
    assert not FORMS.findall(page.content())


def test_the_reference_is_closed_again_for_the_next(seen: Watched, rating: Rating) -> None:
    """Whoever looked is remembered."""
    page = seen.page
    join(page)
    expect(page.locator("#reference")).to_be_hidden()
    page.keyboard.press("r")
    expect(page.locator("#reference")).to_be_visible()
    press(page, "1")
    expect(page.locator("#reference")).to_be_hidden()
    press(page, "1")
    assert [vote.opened for vote in rating.votes.all()] == [True, False]


def test_texts_are_texts(seen: Watched) -> None:
    """Markup of a model is shown as it is, and nothing of it runs."""
    page = seen.page
    join(page)
    texts = page.locator("#first").inner_text() + page.locator("#second").inner_text()
    assert MARKUP in texts


@pytest.mark.parametrize(
    ("locale", "title", "other"),
    [("ja-JP", "どちらの回答が良いですか?", "en"), ("fr-FR", "Which answer is better?", "ja")],
)
def test_japanese_and_english(browser: Browser, url: str, locale: str, title: str, other: str) -> None:
    """By what the browser prefers; the switch is kept over a reload; answers keep their own language."""
    with watched(browser, url, locale=locale) as seen:
        page = seen.page
        expect(page).to_have_title(title)
        join(page)
        assert page.locator("#first").get_attribute("lang") == "ja"
        page.locator("#language").click()
        expect(page.locator("html")).to_have_attribute("lang", other)
        page.reload()
        expect(page.locator("html")).to_have_attribute("lang", other)
        expect(page.locator("[data-choice=first] span")).to_have_text({"en": "A is better", "ja": "A が良い"}[other])
    assert seen.problems == []


def test_every_word_is_there_in_both_languages(seen: Watched) -> None:
    """Nothing shows as `undefined`."""
    page = seen.page
    join(page)
    for _ in range(2):
        assert "undefined" not in page.locator("body").inner_text()
        page.locator("#language").click()


def test_what_a_screen_reader_hears(seen: Watched) -> None:
    """The item's heading has the focus, answers have names, votes are a group, what happened is announced."""
    page = seen.page
    join(page)
    expect(page.locator("#asked")).to_be_focused()
    expect(page.get_by_role("region", name="A", exact=True)).to_be_visible()
    expect(
        page.get_by_role("group", name="Your vote").get_by_role("button", name="Both bad", exact=True)
    ).to_be_visible()
    expect(page.get_by_role("progressbar", name="Progress")).to_be_visible()
    expect(page.get_by_label("Why? (optional, c)")).to_be_visible()
    press(page, "1")
    expect(page.get_by_role("status")).to_have_text("Saved.")
    expect(page.locator("#asked")).to_be_focused()


def test_the_end_is_said(seen: Watched) -> None:
    """And the last vote can still be taken back."""
    page = seen.page
    join(page)
    for done in range(1, TOTAL + 1):
        page.keyboard.press("3")
        expect(page.locator("#count")).to_have_text(f"{done} of {TOTAL} rated")
    expect(page.get_by_role("heading", name="All done. Thank you!")).to_be_focused()
    expect(page.locator("#item")).to_be_hidden()
    press(page, "u", "Taken back. You had said: Both good")
    expect(page.locator("#item")).to_be_visible()


def test_a_vote_that_was_not_saved_is_not_shown_as_saved(
    browser: Browser, url: str, rating: Rating, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same item stays, with the comment, and the next try is saved."""

    def refuse(*_: Any, **__: Any) -> None:
        raise NoSpaceError("no space left on the disk", advice="free space")

    with watched(browser, url, locale="en-US") as seen:
        page = seen.page
        join(page)
        page.locator("#comment").fill("why")
        page.keyboard.press("Escape")
        prompt = page.locator("#prompt").inner_text()
        with monkeypatch.context() as patch:
            patch.setattr(rating.votes, "save", refuse)
            page.keyboard.press("1")
            expect(page.locator("#status")).to_contain_text("NOT SAVED. no space left on the disk")
        assert page.locator("#count").inner_text() == f"0 of {TOTAL} rated"
        assert (page.locator("#prompt").inner_text(), page.locator("#comment").input_value()) == (prompt, "why")
        press(page, "1")
    assert [vote.comment for vote in rating.votes.all()] == ["why"]


def test_a_server_that_went_away_is_told(browser: Browser, rating: Rating) -> None:
    """And nothing counts as saved."""
    with serving(RatingServer(rating, 0)) as client, watched(browser, client.url, locale="en-US") as seen:
        join(seen.page)
        seen.page.route("**/vote", lambda route: route.abort())
        seen.page.keyboard.press("1")
        expect(seen.page.locator("#status")).to_have_text(
            "NOT SAVED. The server does not answer. Is `rate` still running?"
        )
        assert rating.votes.all() == []
