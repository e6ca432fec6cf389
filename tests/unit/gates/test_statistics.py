"""The statistics of gates against values worked out elsewhere."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.gates.statistics import moving_average, noise, rank_correlation, ranks, wilson_interval


def test_wilson_interval_of_known_cases() -> None:
    """The textbook values for 8 of 10 and for none of 64."""
    assert wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson_interval(0, 64) == pytest.approx((0.0, 0.0566), abs=1e-4)


def test_wilson_interval_without_trials_knows_nothing() -> None:
    """No trial leaves every share possible."""
    assert wilson_interval(0, 0) == (0.0, 1.0)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_holds_the_share(case: tuple[int, int]) -> None:
    """The interval lies within 0 and 1 and holds the observed share."""
    successes, trials = case
    low, high = wilson_interval(successes, trials)
    assert 0 <= low <= successes / trials + 1e-12
    assert successes / trials - 1e-12 <= high <= 1


def test_ranks_share_ties() -> None:
    """Equal values take the mean of their ranks."""
    assert ranks([10.0, 30.0, 20.0, 30.0]) == [1.0, 3.5, 2.0, 3.5]


def test_rank_correlation_of_a_worked_example() -> None:
    """One swap in five: 1 - 6·2 / (5·24)."""
    assert rank_correlation([1, 2, 3, 4, 5], [1, 3, 2, 4, 5]) == pytest.approx(0.9)


def test_rank_correlation_is_undefined_for_a_constant_series() -> None:
    """A series without order has no rank correlation, and neither have two pairs."""
    assert rank_correlation([1, 1, 1, 1], [1, 2, 3, 4]) is None
    assert rank_correlation([1, 2], [1, 2]) is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=30, unique=True))
def test_rank_correlation_of_a_series_with_itself(values: list[float]) -> None:
    """A series follows itself fully, and runs against its own reverse order."""
    assert rank_correlation(values, values) == pytest.approx(1)
    assert rank_correlation(values, [-value for value in values]) == pytest.approx(-1)


def test_moving_average_keeps_the_length_and_narrows_at_the_ends() -> None:
    """The first and last windows hold two values of three."""
    assert moving_average([1.0, 2.0, 6.0], 3) == [1.5, 3.0, 4.0]


def test_noise_ignores_level_and_slope() -> None:
    """A straight line has none."""
    assert noise([3.0 - 0.1 * at for at in range(12)]) == pytest.approx(0, abs=1e-12)


def test_noise_measures_what_was_added() -> None:
    """Over many points it comes within a tenth of the standard deviation of the noise."""
    chance = random.Random(1)
    values = [5 - 0.01 * at + chance.gauss(0, 0.02) for at in range(4000)]
    assert noise(values) == pytest.approx(0.02, rel=0.1)
