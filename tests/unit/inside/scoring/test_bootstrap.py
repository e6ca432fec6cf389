"""Intervals of differences: they hold the truth, and they say nothing that they do not show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.inside.scoring import bootstrap


def bounds(pairs: Any) -> tuple[float, float]:
    """Return the interval of the mean of second - first."""
    means = bootstrap.resamples(len(pairs)).means(pairs)
    return bootstrap.interval(means[:, 1] - means[:, 0])


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    """400 data sets of 48 skewed, paired scores with a known mean difference: of 95 % at least 91 % are reached."""
    rng, truth, covered = np.random.default_rng(1), 0.05, 0
    for _ in range(400):
        base = rng.beta(1, 5, 48)
        tuned = base + truth + (rng.exponential(0.1, 48) - 0.1)
        low, high = bounds(list(zip(base.tolist(), tuned.tolist(), strict=True)))
        covered += low <= truth <= high
    assert 0.91 <= covered / 400 <= 0.985


def test_equal_forms_show_no_difference() -> None:
    """Not even a tiny one."""
    values = np.random.default_rng(2).normal(size=48).tolist()
    low, high = bounds([(value, value) for value in values])
    assert (low, high) == (0, 0)
    assert bootstrap.verdict(low, high, "higher", 48) == "no difference shown"


def test_pairs_are_kept_together() -> None:
    """Scores that vary widely between prompts and little within one: the interval is that of the differences."""
    rng = np.random.default_rng(3)
    base = rng.normal(0, 100, 48)
    low, high = bounds(list(zip(base.tolist(), (base + 1 + rng.normal(0, 0.1, 48)).tolist(), strict=True)))
    assert 0.9 < low < 1 < high < 1.1


def test_prompts_without_a_value_are_left_out_for_both() -> None:
    """They are no zeros."""
    low, high = bounds([(1.0, 2.0)] * 40 + [(None, 5.0), (7.0, None)])
    assert (low, high) == (1, 1)


@pytest.mark.parametrize(
    ("low", "high", "better", "prompts", "word"),
    [
        (0.1, 0.2, "higher", 48, "better"),
        (0.1, 0.2, "lower", 48, "worse"),
        (-0.2, -0.1, "lower", 48, "better"),
        (0.1, 0.2, "", 48, "different"),
        (-0.1, 0.2, "higher", 48, "no difference shown"),
        (0.0, 0.2, "higher", 48, "no difference shown"),
        (0.1, 0.2, "higher", 29, "too few prompts"),
    ],
)
def test_a_verdict_needs_an_interval_without_zero(
    low: float, high: float, better: Any, prompts: int, word: str
) -> None:
    """And enough prompts."""
    assert bootstrap.verdict(low, high, better, prompts) == word


def test_the_references_say_which_way_is_nearer() -> None:
    """Where more is neither better nor worse."""
    aim, near, far = np.full(100, 5.0), np.full(100, 4.5), np.full(100, 9.0)
    assert bootstrap.toward(far, near, aim) == ", nearer to the references"
    assert bootstrap.toward(near, far, aim) == ", farther from the references"
    assert bootstrap.toward(far, far, aim) == ""


def test_the_same_prompts_are_drawn_every_time() -> None:
    """From a fixed seed: the sum over numbered prompts in the first resamples."""
    numbered = np.arange(48, dtype=np.int64)[:, None]
    first = bootstrap.Resamples(48).sums(numbered)
    assert first[:3, 0].tolist() == bootstrap.Resamples(48).sums(numbered)[:3, 0].tolist()
    assert len(first) == bootstrap.RESAMPLES >= 1000
    assert first.dtype == np.int64
