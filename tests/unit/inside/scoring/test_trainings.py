"""Several trainings: an interval that covers the truth, and words that say how many trainings stand behind them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.inside.scoring import bootstrap, trainings
from pipeline.inside.scoring.forms import Form

PROMPTS = 48


def drawn_means(scores: Any) -> bootstrap.Values:
    """The mean of the prompts' differences in every resample."""
    whole = np.round(scores * bootstrap.SCALE).astype(np.int64)[:, None]
    found: bootstrap.Values = bootstrap.resamples(PROMPTS).sums(whole)[:, 0] / (PROMPTS * bootstrap.SCALE)
    return found


@pytest.mark.parametrize("between", [0.0, 0.01, 0.1])
def test_the_interval_covers_the_truth_as_often_as_it_says(between: float) -> None:
    """200 recipes with a known mean difference: skewed prompts, which all seeds share, and seeds that differ by chance.

    Whether the seeds hardly differ or far more than the prompts do, 95 % are reached, or a little more.
    """
    rng, truth, covered = np.random.default_rng(1), 0.05, 0
    for _ in range(200):
        prompts = rng.exponential(0.1, PROMPTS) - 0.1
        each = [truth + rng.normal(0, between) + prompts + rng.normal(0, 0.05, PROMPTS) for _ in range(3)]
        found = trainings.pooled([float(one.mean()) for one in each], [drawn_means(one) for one in each])
        covered += found.low <= truth <= found.high
    assert 0.92 <= covered / 200 <= 1


def test_resampling_three_seeds_would_not() -> None:
    """What is not done, and why: three seeds drawn with replacement hide how far seeds lie apart."""
    rng, truth, covered = np.random.default_rng(1), 0.05, 0
    for _ in range(200):
        each = truth + rng.normal(0, 0.1, 3)
        low, high = bootstrap.interval(each[rng.integers(0, 3, (bootstrap.RESAMPLES, 3))].mean(axis=1))
        covered += low <= truth <= high
    assert covered / 200 < 0.85


@pytest.mark.parametrize(
    ("degrees", "share", "value"),
    [(1, 0.975, 12.7062), (2, 0.975, 4.3027), (3, 0.95, 2.3534), (4, 0.995, 4.6041), (9, 0.975, 2.2622)],
)
def test_students_t_is_that_of_the_tables(degrees: int, share: float, value: float) -> None:
    """To the digits that tables print."""
    assert trainings.quantile(share, degrees) == pytest.approx(value, abs=1e-4)


def test_the_drawn_t_has_its_quantiles() -> None:
    """Symmetric, every resample one, the middle 95 % where they belong."""
    found = trainings.students(2)
    assert len(found) == bootstrap.RESAMPLES
    assert sorted(found.tolist()) == pytest.approx(sorted((-found).tolist()))
    assert bootstrap.interval(found)[1] == pytest.approx(4.30, abs=0.1)


def together(*differences: float, noise: float = 0.01) -> str:
    """The word for differences of some seeds, each with a little noise of the prompts."""
    rng = np.random.default_rng(2)
    drawn = [one + rng.normal(0, noise, bootstrap.RESAMPLES) for one in differences]
    found = trainings.pooled(differences, drawn)
    return trainings.verdict(found, differences, "higher", PROMPTS, "prompts")


def test_three_trainings_that_agree_are_better() -> None:
    """And the other way round they are worse."""
    assert together(0.50, 0.52, 0.48) == "better"
    assert together(-0.50, -0.52, -0.48) == "worse"


def test_trainings_that_lie_far_apart_show_nothing() -> None:
    """Each by itself is sure to be better, and the next one may be anything."""
    assert together(0.9, 0.2, 0.1) == "no difference shown"


def test_one_training_against_two_shows_nothing() -> None:
    """However small the noise of the prompts."""
    assert together(0.5, 0.5, -0.1) == "no difference shown"


def test_two_trainings_give_no_verdict() -> None:
    """Although both agree."""
    assert together(0.5, 0.5) == "too few trainings"


def test_few_prompts_give_no_verdict_with_many_trainings() -> None:
    """As with one."""
    found = trainings.Pooled(0.5, 0.01, 0.4, 0.6)
    assert trainings.verdict(found, [0.5] * 3, "higher", 12, "prompts") == "too few prompts"


@pytest.mark.parametrize("word", ["better", "worse"])
def test_one_training_is_never_called_better_alone(word: str) -> None:
    """The word says how many trainings stand behind it."""
    assert trainings.of_one({"verdict": word})["verdict"] == f"{word} (one training)"
    assert trainings.of_one({"verdict": "no difference shown"})["verdict"] == "no difference shown"


def scored(values: list[float]) -> Form:
    """A form with one score for each prompt."""
    return Form([{"exact_match": value} for value in values], {"exact_match": float(np.mean(values))}, {})


def test_a_measure_over_seeds_has_mean_spread_and_each_difference() -> None:
    """The base answers nothing right; three seeds answer 30, 32 and 34 of 48."""
    base = scored([0.0] * PROMPTS)
    tuned = {seed: scored([1.0] * count + [0.0] * (PROMPTS - count)) for seed, count in ((7, 30), (3, 32), (5, 34))}
    found = trainings.compared("exact_match", base, tuned, base)
    assert [one["seed"] for one in found["differences"]] == [7, 3, 5]
    assert {one["verdict"] for one in found["differences"]} == {"better (one training)"}
    assert found["mean"] == pytest.approx(32 / 48, abs=1e-6)
    assert found["spread"] == pytest.approx(2 / 48, abs=1e-6)
    assert 0 < found["low"] < found["mean"] < found["high"]
    assert (found["pairs"], found["verdict"], found["reason"]) == (48, "better", None)


def test_a_measure_of_few_prompts_is_pooled_too() -> None:
    """Facts of 4 prompts in 48: one resample in sixty holds none of the four."""

    def asked(right: float) -> Form:
        return Form([{"wrong_facts": right if at < 4 else None} for at in range(PROMPTS)], {"wrong_facts": right}, {})

    assert len(bootstrap.resamples(PROMPTS).means([(1.0,)] * 4 + [(None,)] * 44)) < bootstrap.RESAMPLES
    found = trainings.compared("wrong_facts", asked(1.0), {1: asked(0.0), 2: asked(0.0), 3: asked(0.25)}, asked(0.0))
    assert (found["pairs"], found["verdict"], found["reason"]) == (4, "too few prompts", None)
    assert found["low"] < found["mean"] < found["high"]


def test_what_one_seed_did_not_measure_is_not_pooled() -> None:
    """The reason is told."""
    base = scored([0.0] * PROMPTS)
    silent = Form([{"exact_match": None}] * PROMPTS, {"exact_match": None}, {"exact_match": "no letters"})
    found = trainings.compared("exact_match", base, {1: base, 2: silent, 3: base}, base)
    assert (found["mean"], found["verdict"], found["reason"]) == (None, None, "no letters")
