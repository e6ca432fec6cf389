"""Intervals hold the truth as often as they should, and verdicts have limits."""

from __future__ import annotations

import math
import random
import re
from pathlib import Path

import pytest

from pipeline.gates.statistics import wilson_interval
from pipeline.rating.results import outcome
from pipeline.verdict_words import word_of
from pipeline.win_rates import LEAST_PROMPTS, interval, paired_interval, verdict, win_rate

REPOSITORY = Path(__file__).parents[2]
Z = 1.959963984540054


def score(wins: int, losses: int, total: int, difference: float) -> float:
    """Return the score statistic by another way: the likeliest share of losses is looked for, not solved for."""

    def likelihood(share: float) -> float:
        parts = ((wins, share + difference), (losses, share), (total - wins - losses, 1 - 2 * share - difference))
        return sum(count * math.log(max(part, 1e-300)) for count, part in parts if count)

    low, high = max(0.0, -difference), (1 - difference) / 2
    for _ in range(200):
        third = (high - low) / 3
        if likelihood(low + third) < likelihood(high - third):
            low += third
        else:
            high -= third
    variance = total * (2 * low + difference - difference**2)
    return (wins - losses - total * difference) / math.sqrt(variance)


@pytest.mark.parametrize(("wins", "losses", "total"), [(31, 9, 48), (20, 10, 30), (3, 5, 40), (12, 1, 30)])
def test_bounds_are_where_the_score_says(wins: int, losses: int, total: int) -> None:
    """At each bound the statistic is the normal quantile, by a computation that shares nothing with the module's."""
    low, high = (2 * bound - 1 for bound in interval(wins, losses, total))
    assert score(wins, losses, total, low) == pytest.approx(Z, abs=0.01)
    assert score(wins, losses, total, high) == pytest.approx(-Z, abs=0.01)


def test_without_ties_it_is_wilsons_interval() -> None:
    """(Of 30 prompts 20 won, 30 won.) Known from the closed formula, also where all fall on one side."""
    for wins in (20, 30):
        share, half = wins / 30, Z**2 / 60
        spread = Z * math.sqrt(share * (1 - share) / 30 + Z**2 / 3600)
        expected = ((share + half - spread) / (1 + 2 * half), (share + half + spread) / (1 + 2 * half))
        assert interval(wins, 30 - wins, 30) == pytest.approx(expected, abs=1e-4)


def test_the_other_way_round_is_the_mirror_image() -> None:
    """Neither form is favoured."""
    low, high = interval(17, 6, 41)
    assert interval(6, 17, 41) == pytest.approx((1 - high, 1 - low))
    assert win_rate(6, 17, 41) == pytest.approx(1 - win_rate(17, 6, 41))


@pytest.mark.parametrize(
    ("wins", "losses", "total", "said"),
    [
        *((20, 0, 29, "too few prompts"), (0, 0, 30, "no difference shown"), (5, 0, 48, "too few decided prompts")),
        *((6, 0, 48, "better (one training)"), (0, 6, 48, "worse (one training)")),
        *((20, 10, 30, "no difference shown"), (31, 9, 48, "better (one training)")),
    ],
)
def test_verdicts(wins: int, losses: int, total: int, said: str) -> None:
    """In the words of the evaluation; with few prompts, or with few that are no ties, there is none."""
    assert verdict(wins, losses, total) == said
    assert said in (REPOSITORY / "docs" / "evaluation.md").read_text("utf-8")


@pytest.mark.parametrize("prompts", [30, 48])
@pytest.mark.parametrize(("won", "lost"), [(0.6, 0.3), (0.8, 0.05), (0.25, 0.25), (0.1, 0.02), (0.98, 0.0)])
def test_an_interval_holds_the_truth(prompts: int, won: float, lost: float) -> None:
    """In 92 of 100 draws and more, of 2,000: with ties, without, and where nearly all fall on one side."""
    chance, held = random.Random(1), 0
    truth = (1 + won - lost) / 2
    for _ in range(2000):
        drawn = [chance.random() for _ in range(prompts)]
        wins, losses = sum(one < won for one in drawn), sum(won <= one < won + lost for one in drawn)
        low, high = interval(wins, losses, prompts)
        held += low <= truth + 1e-9 and truth - 1e-9 <= high
    assert held / 2000 >= 0.92


def raters_votes(chance: random.Random, raters: int) -> list[str]:
    """Return what raters say of one prompt: they see the same two answers, so they mostly say the same."""
    quality = chance.gauss(0.3, 1)
    seen = [quality + chance.gauss(0, 0.5) for _ in range(raters)]
    return ["form" if one > 0.3 else "against" if one < -0.3 else "tie" for one in seen]


def test_several_raters_of_a_prompt_make_no_more_prompts() -> None:
    """Five raters of 40 prompts: by prompts the truth is held as often as it should; by votes it would be far less."""
    chance = random.Random(2)
    many = [outcome(raters_votes(chance, 5)) for _ in range(40_000)]
    truth = (1 + (many.count("form") - many.count("against")) / len(many)) / 2
    single = [vote for _ in range(20_000) for vote in raters_votes(chance, 5)]
    truth_of_votes = (1 + (single.count("form") - single.count("against")) / len(single)) / 2
    held = held_by_votes = 0
    for _ in range(1000):
        prompts = [raters_votes(chance, 5) for _ in range(40)]
        said = [outcome(votes) for votes in prompts]
        low, high = interval(said.count("form"), said.count("against"), 40)
        held += low <= truth <= high
        votes = [vote for one in prompts for vote in one]
        low, high = interval(votes.count("form"), votes.count("against"), len(votes))
        held_by_votes += low <= truth_of_votes <= high
    assert held >= 930
    assert held_by_votes < 800


def test_chance_alone_is_seldom_called_a_difference() -> None:
    """Of 2,000 draws without a difference at most 6 of 100 are called better or worse, with many ties and with few."""
    chance = random.Random(3)
    for decided in (0.15, 0.3, 0.9):
        called = 0
        for _ in range(2000):
            drawn = [chance.random() for _ in range(48)]
            wins, losses = sum(one < decided / 2 for one in drawn), sum(decided / 2 <= one < decided for one in drawn)
            called += word_of(verdict(wins, losses, 48)) in ("better", "worse")
        assert called / 2000 <= 0.06


def test_all_alike_is_not_sure() -> None:
    """48 of 48 leave the room that Wilson leaves; a bootstrap would leave none."""
    assert interval(48, 0, 48) == pytest.approx(wilson_interval(48, 48), abs=1e-3)


def test_ties_narrow_it() -> None:
    """A tie says that the two are near each other: it is no missing value."""
    with_ties, without = paired_interval(6, 2, 48), paired_interval(6, 2, 8)
    assert with_ties[1] - with_ties[0] < without[1] - without[0]


def test_a_tie_counts_half() -> None:
    """Three wins, one loss, four ties: 5 of 8."""
    assert win_rate(3, 1, 8) == 0.625


def test_no_prompt_says_nothing() -> None:
    """Everything is possible."""
    assert paired_interval(0, 0, 0) == (-1.0, 1.0)


def test_too_few_is_the_evaluations_number() -> None:
    """`evaluate` draws the line at the same number; its module needs NumPy, so it is read."""
    text = (REPOSITORY / "pipeline" / "inside" / "scoring" / "bootstrap.py").read_text("utf-8")
    found = re.search(r"^LEAST_PAIRS = (\d+)$", text, re.MULTILINE)
    assert found is not None
    assert found[1] == str(LEAST_PROMPTS)
