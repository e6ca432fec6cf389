"""How far raters agree, and how much of that chance would give."""

from __future__ import annotations

import pytest

from pipeline.rating.agreement import agreement


def test_two_raters_give_cohens_kappa() -> None:
    """Of 50 items 20 and 15 equal, 5 and 10 not: 0.7 are equal, chance gives 0.5, kappa is 0.4 (by hand)."""
    counts = {("form", "form"): 20, ("against", "against"): 15, ("form", "against"): 5, ("against", "form"): 10}
    votes = [{1: one, 2: two} for (one, two), count in counts.items() for _ in range(count)]
    found = agreement(votes)
    assert (found["prompts"], found["pairs"], found["equal"], found["kind"]) == (50, 50, 35, "Cohen")
    assert found["kappa"] == pytest.approx(0.4)


def test_more_raters_give_fleiss_kappa() -> None:
    """Two items of three raters, one unanimous, one split in two and one: (2/3 - 13/18) / (5/18) by hand."""
    votes = [{1: "form", 2: "form", 3: "form"}, {1: "form", 2: "form", 3: "against"}]
    found = agreement(votes)
    assert (found["pairs"], found["equal"], found["kind"]) == (6, 4, "Fleiss")
    assert found["kappa"] == pytest.approx((2 / 3 - 13 / 18) / (5 / 18), abs=1e-4)


def test_what_one_rater_alone_judged_does_not_count() -> None:
    """There is nothing to agree with."""
    votes = [{1: "form", 2: "form"}, {1: "against", 2: "against"}, {1: "form"}, {2: "tie"}]
    found = agreement(votes)
    assert (found["prompts"], found["kappa"]) == (2, 1.0)


def test_one_rater_has_no_agreement() -> None:
    """Not measured is not zero."""
    found = agreement([{1: "form"}, {1: "tie"}])
    assert (found["kappa"], found["reason"]) == (None, "no prompt has two raters")


def test_raters_who_always_say_the_same_word_have_no_kappa() -> None:
    """Chance alone would agree."""
    found = agreement([{1: "form", 2: "form"}] * 3)
    assert (found["equal"], found["kappa"]) == (3, None)
    assert found["reason"].startswith("all votes are the same")
