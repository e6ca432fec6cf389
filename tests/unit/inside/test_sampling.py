"""How the next token is chosen."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from pipeline.inside.sampling import FEW, Sampler, greedy, nucleus


def test_greedy_takes_the_lowest_of_equals() -> None:
    """Ties go to the lowest id, so that every form breaks them alike."""
    assert greedy(np.array([1.0, 3.0, 3.0])) == 1


def test_greedy_never_takes_a_broken_logit() -> None:
    """NaN and infinity lose against every finite logit."""
    assert greedy(np.array([math.nan, math.inf, -5.0, -4.0])) == 3


def test_nucleus_keeps_the_shortest_list_that_holds_the_share() -> None:
    """Shares 0.5, 0.3, 0.2 and top_p 0.7 keep two tokens, most likely first."""
    kept, cumulative = nucleus(np.log([0.2, 0.5, 0.3]), temperature=1.0, top_p=0.7)
    assert kept.tolist() == [1, 2]
    assert cumulative / cumulative[-1] == pytest.approx([0.625, 1.0])


def test_nucleus_keeps_one_token_at_least() -> None:
    """However small the share, the most likely token stays."""
    kept, _ = nucleus(np.array([0.0, 9.0]), temperature=1.0, top_p=1e-9)
    assert kept.tolist() == [1]


def test_nucleus_of_everything_keeps_all_in_a_stable_order() -> None:
    """With top_p 1 all tokens stay, and equal ones stand in the order of their ids."""
    kept, _ = nucleus(np.zeros(FEW * 3), temperature=0.5, top_p=1.0)
    assert kept.tolist() == list(range(FEW * 3))


@pytest.mark.parametrize("top_p", [0.1, 0.5, 0.9, 0.999])
def test_looking_at_few_tokens_first_changes_nothing(top_p: float) -> None:
    """The short cut for large vocabularies keeps exactly what sorting all of it keeps, ties included."""
    logits = np.round(np.random.default_rng(3).normal(size=5000) * 3, 1)
    weights = np.exp(logits / 0.7 - (logits / 0.7).max())
    order = np.argsort(-weights, kind="stable")
    expected = order[: int(np.searchsorted(np.cumsum(weights[order]), top_p * weights.sum())) + 1]
    kept, _ = nucleus(logits, temperature=0.7, top_p=top_p)
    assert kept.tolist() == expected.tolist()


def test_a_low_temperature_makes_the_likely_likelier() -> None:
    """At half the temperature the odds are squared."""
    _, cumulative = nucleus(np.log([0.2, 0.8]), temperature=0.5, top_p=1.0)
    assert cumulative[0] / (cumulative[1] - cumulative[0]) == pytest.approx(16)


def test_one_number_is_drawn_per_token_from_the_prompts_own_source() -> None:
    """The draw is Python's generator seeded with "seed:id", one uniform number per token."""
    source = random.Random("7:abc")
    expected = [int(source.random() >= 0.75) for _ in range(50)]
    sampler = Sampler(7, "abc", temperature=1.0, top_p=1.0)
    assert [sampler(np.log([0.75, 0.25])) for _ in range(50)] == expected


def test_drawn_shares_follow_the_probabilities() -> None:
    """Of 4,000 draws each token gets its share, within four standard deviations."""
    sampler = Sampler(1, "x", temperature=1.0, top_p=1.0)
    drawn = [sampler(np.log([0.1, 0.6, 0.3])) for _ in range(4000)]
    for token, share in enumerate((0.1, 0.6, 0.3)):
        assert drawn.count(token) / 4000 == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 4000))


def test_other_prompts_draw_other_numbers() -> None:
    """Two prompts with the same logits do not get the same answers."""
    samplers = [Sampler(7, name, temperature=1.0, top_p=1.0) for name in ("a", "b")]
    first, second = ([sampler(np.zeros(1000)) for _ in range(5)] for sampler in samplers)
    assert first != second


def test_logits_that_are_all_broken_still_give_a_token() -> None:
    """A broken model is to be reported by the gates, not to crash the generator."""
    assert 0 <= Sampler(1, "x", temperature=0.7, top_p=0.9)(np.full(10, math.nan)) < 10
