"""How verdicts in two orders become wins, ties and what is not measured."""

from __future__ import annotations

import pytest

from pipeline.llm_judge.reading import NO_JSON, REFUSED, Choice, Reading
from pipeline.llm_judge.tally import ALL_SAME, NO_PROMPT, Compared, tally

LIMIT = 0.1


def one(first: Choice | None, second: Choice | None, chars: tuple[int, int] = (10, 10)) -> Compared:
    """Return a prompt with its verdict in the order as named and in the swapped one."""
    readings = tuple(Reading(choice, None if choice else NO_JSON) for choice in (first, second))
    return Compared("p", chars, readings)


FORM_WINS, AGAINST_WINS, BOTH_TIE = one("second", "first"), one("first", "second"), one("tie", "tie")
ALWAYS_A, ALWAYS_B = one("first", "first"), one("second", "second")
SAME = Compared("p", (5, 5))


@pytest.mark.parametrize(
    ("compared", "outcome"),
    [
        (FORM_WINS, "win"),
        (AGAINST_WINS, "loss"),
        (BOTH_TIE, "tie"),
        (ALWAYS_A, "tie"),
        (ALWAYS_B, "tie"),
        (one("second", "tie"), "tie"),
        (one(None, "first"), "unread"),
        (one("second", None), "unread"),
        (SAME, "same"),
    ],
)
def test_a_win_needs_both_orders(compared: Compared, outcome: str) -> None:
    """What they do not both say is a tie; what was not read is nothing."""
    assert compared.outcome == outcome


def test_a_fair_judge_agrees_with_itself() -> None:
    """No contradiction, no preference for a position, a verdict in words."""
    found = tally([FORM_WINS] * 30 + [AGAINST_WINS] * 10 + [BOTH_TIE] * 8, LIMIT)
    assert (found["wins"], found["losses"], found["ties"], found["contradictions"]) == (30, 10, 8, 0)
    assert found["agreement"]["value"] == 1.0
    assert found["first_position"]["value"] == 0.5
    assert found["win_rate"]["verdict"] == "better (one training)"


def test_a_judge_that_goes_by_position_shows() -> None:
    """Nobody wins, every prompt is a contradiction, and the interval of the first position excludes one half."""
    found = tally([ALWAYS_A] * 40, LIMIT)
    assert (found["wins"], found["losses"], found["ties"], found["contradictions"]) == (0, 0, 40, 40)
    assert found["agreement"]["value"] == 0.0
    assert found["first_position"]["low"] > 0.5
    assert found["win_rate"]["verdict"] == "no difference shown"
    assert tally([ALWAYS_B] * 40, LIMIT)["first_position"]["high"] < 0.5


def test_unreadable_verdicts_are_neither_ties_nor_zeros() -> None:
    """Under the limit they are left out and counted; the rest is measured."""
    found = tally([FORM_WINS] * 47 + [one(None, "first")], LIMIT)
    assert found["win_rate"]["of"] == 47
    assert (found["ties"], found["unread_prompts"], found["unread_verdicts"]) == (0, 1, {NO_JSON: 1})


def test_over_the_limit_nothing_is_measured() -> None:
    """And the reason says how many, and why."""
    refused = Compared("p", (1, 2), (Reading(None, REFUSED), Reading("first")))
    found = tally([FORM_WINS] * 30 + [one(None, None)] * 5 + [refused], LIMIT)
    reason = "11 of 72 verdicts could not be read (10 not the JSON object asked for, 1 refused); at most 0.1 of them"
    for name in ("win_rate", "agreement", "first_position", "longer_answer"):
        assert list(found[name]) == ["reason"]
        assert found[name]["reason"].startswith(reason)


def test_same_answers_are_ties_that_nobody_was_asked_about() -> None:
    """They count in the win rate and not in the agreement."""
    found = tally([SAME] * 20 + [FORM_WINS] * 20, LIMIT)
    assert (found["win_rate"]["of"], found["agreement"]["of"], found["verdicts"]) == (40, 20, 40)
    assert found["win_rate"]["value"] == 0.75


def test_forms_that_always_answer_alike_are_measured_without_a_judge() -> None:
    """No difference, and no word about the judge."""
    found = tally([SAME] * 30, LIMIT)
    assert found["win_rate"]["verdict"] == "no difference shown"
    assert found["agreement"] == {"reason": ALL_SAME}
    assert found["unread_share"] is None


def test_without_prompts_there_is_a_reason() -> None:
    """Not zero."""
    assert tally([], LIMIT)["win_rate"] == {"reason": NO_PROMPT}


def test_few_prompts_give_no_verdict() -> None:
    """However clear they are."""
    assert tally([FORM_WINS] * 29, LIMIT)["win_rate"]["verdict"] == "too few prompts"


def test_the_longer_answers_share_is_told() -> None:
    """Of what was won, between answers of different length."""
    wins = [one("second", "first", (5, 9))] * 3 + [one("first", "second", (5, 9))] + [FORM_WINS]
    found = tally(wins, LIMIT)["longer_answer"]
    assert (found["value"], found["of"]) == (0.75, 4)
