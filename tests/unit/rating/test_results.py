"""From votes to a verdict: prompts are counted, not votes, and other answers' votes not at all."""

from __future__ import annotations

import json

import pytest

from pipeline.rating.answers import Item, Pair
from pipeline.rating.results import outcome, rate, results
from pipeline.rating.votes import Choice, Rater, Votes
from tests.support.rated import PROMPTS, SAME_AS_BASE, RatedBuild, texts

TUNED = Pair("base", "tuned")
DIFFERENT = PROMPTS - SAME_AS_BASE


def rater(votes: Votes, name: str) -> Rater:
    """Return a rater."""
    found = votes.join(name, again=True)
    assert isinstance(found, Rater)
    return found


def vote(votes: Votes, who: Rater, items: list[Item], choice: Choice) -> None:
    """Vote on items; the form's answer always stands first."""
    for item in items:
        votes.save(who, item, choice, form_first=True, comment="x")


def differing(built: RatedBuild, pair: Pair = TUNED) -> list[Item]:
    """Return the items that are shown."""
    return [item for item in built.items(pair) if not item.identical]


def test_wins_losses_and_ties(built: RatedBuild, votes: Votes) -> None:
    """Of prompts; skipped ones are not rated; identical answers are ties of their own."""
    items, one = differing(built), rater(votes, "花子")
    vote(votes, one, items[:24], "first")
    vote(votes, one, items[24:28], "second")
    vote(votes, one, items[28:30], "both_good")
    vote(votes, one, items[30:34], "both_bad")
    vote(votes, one, items[34:], "skip")
    (found,) = results(built.answers(), votes.all())["pairs"]
    assert (found["won"], found["lost"], found["tied"], found["rated"]) == (24, 4, 6, 34)
    assert (found["identical"], found["prompts"], found["counted"]) == (SAME_AS_BASE, PROMPTS, 37)
    assert found["votes"] == {"form": 24, "against": 4, "both_good": 2, "both_bad": 4, "skip": 2}
    assert found["verdict"] == "better (one training)"
    assert found["win_rate"] == pytest.approx(0.5 + 20 / 37 / 2, abs=1e-4)
    assert found["low"] < found["win_rate"] < found["high"]
    assert (found["first_preferred"], found["decided_votes"]) == (24, 28)


def test_several_raters_of_a_prompt_give_one_outcome(built: RatedBuild, votes: Votes) -> None:
    """The majority's; two that differ are a tie. Votes and agreement are told beside it."""
    items, one, two = differing(built), rater(votes, "花子"), rater(votes, "次郎")
    vote(votes, one, items, "first")
    vote(votes, two, items[:20], "first")
    vote(votes, two, items[20:30], "second")
    summary = results(built.answers(), votes.all())
    (found,) = summary["pairs"]
    assert (found["won"], found["lost"], found["tied"]) == (DIFFERENT - 10, 0, 10)
    assert (summary["raters"], summary["votes"]) == (2, DIFFERENT + 30)
    assert (found["agreement"]["pairs"], found["agreement"]["equal"]) == (30, 20)
    assert [(each["form"], each["against"]) for each in found["raters"]] == [(DIFFERENT, 0), (20, 10)]


@pytest.mark.parametrize(
    ("votes", "said"),
    [
        (["form"], "form"),
        (["form", "against"], "tie"),
        (["form", "tie"], "form"),
        (["form", "against", "against"], "against"),
        (["tie", "tie"], "tie"),
    ],
)
def test_the_outcome_of_a_prompt(votes: list[str], said: str) -> None:
    """More for one than for the other, or a tie."""
    assert outcome(votes) == said


def test_votes_on_other_answers_do_not_count(built: RatedBuild, votes: Votes) -> None:
    """After a new training; where the very same answer stands again they count again."""
    vote(votes, rater(votes, "花子"), differing(built), "first")
    built.make(texts("!"))
    summary = results(built.answers(), votes.all(), [TUNED])
    assert (summary["votes"], summary["elsewhere"]) == (0, DIFFERENT)
    assert summary["pairs"][0]["reason"] == "nobody has judged an answer yet"
    built.make(texts())
    assert results(built.answers(), votes.all())["votes"] == DIFFERENT


def test_votes_on_a_form_that_is_gone_are_told(built: RatedBuild, votes: Votes) -> None:
    """The recipe has another quantization now."""
    vote(votes, rater(votes, "花子"), differing(built, Pair("tuned", "Q4_K_M")), "first")
    built.make({stage: answers for stage, answers in texts().items() if stage != "verify-quant-Q4_K_M"})
    summary = results(built.answers(), votes.all())
    assert (summary["pairs"], summary["elsewhere"]) == ([], 10)


def test_a_quantization_that_answers_the_same_has_nothing_to_rate(built: RatedBuild, votes: Votes) -> None:
    """That is no measurement of people."""
    (found,) = results(built.answers(), votes.all(), [Pair("tuned", "F16")])["pairs"]
    assert (found["win_rate"], found["verdict"], found["identical"]) == (None, None, PROMPTS)
    assert found["reason"].startswith("every answer is the same")


def test_identical_answers_count_in_proportion_to_what_was_rated() -> None:
    """5 of 10 that differ were rated, so 15 of 30 identical ones count; all of them once all are rated."""
    half, whole = rate(5, 0, 5, 30, 40), rate(10, 0, 10, 30, 40)
    assert (half["counted"], whole["counted"]) == (20, 40)
    assert half["win_rate"] == whole["win_rate"] == 0.625
    assert (half["verdict"], whole["verdict"]) == ("too few prompts", "better (one training)")


def test_no_percentage_without_an_interval(built: RatedBuild, votes: Votes) -> None:
    """With one vote too: its interval says how little that is."""
    vote(votes, rater(votes, "花子"), differing(built)[:1], "first")
    (found,) = results(built.answers(), votes.all())["pairs"]
    assert (found["win_rate"], found["verdict"]) == (1.0, "too few prompts")
    assert found["low"] < 0.25


def test_names_comments_and_rows_are_not_in_it(built: RatedBuild, votes: Votes) -> None:
    """A report may be handed on."""
    vote(votes, rater(votes, "花子"), differing(built), "first")
    text = json.dumps(results(built.answers(), votes.all()), ensure_ascii=False)
    for private in ("花子", "題1", "参考", '"x"'):
        assert private not in text
