"""The bootstrap in plain Python gives what the one in numpy gives, digit for digit."""

from __future__ import annotations

import random
import time

import pytest

from pipeline.comparing import resampling
from pipeline.comparing.resampling import Interval, Pair, verdict


@pytest.mark.parametrize("prompts", [1, 2, 3, 30, 48, 101])
def test_the_resamples_are_those_of_numpy(prompts: int) -> None:
    """Each prompt is drawn as often, in each resample."""
    from pipeline.inside.scoring import bootstrap

    assert resampling.resamples(prompts) == bootstrap.resamples(prompts)._times.tolist()


def test_both_work_by_the_same_numbers() -> None:
    """Resamples, level, least number of pairs, scale and digits stand in two worlds and are the same."""
    from pipeline.inside.scoring import bootstrap, forms

    here = (resampling.RESAMPLES, resampling.LEVEL, resampling.LEAST_PAIRS, resampling.SCALE, resampling.DIGITS)
    assert here == (bootstrap.RESAMPLES, bootstrap.LEVEL, bootstrap.LEAST_PAIRS, bootstrap.SCALE, forms.DIGITS)
    assert bootstrap.SEED == 0


def drawn(rng: random.Random, prompts: int, *, missing: float, spread: float, shift: float) -> list[Pair]:
    """Scores of two runs, some of them not measured, some negative."""

    def score(mean: float) -> float:
        return round(rng.gauss(mean, spread), 6)

    return [None if rng.random() < missing else (score(0), score(shift)) for _ in range(prompts)]


def test_the_intervals_are_those_of_numpy() -> None:
    """Many measures at once, from shares to counts of characters: every published bound is the same."""
    from pipeline.inside.scoring import bootstrap

    rng = random.Random(1)
    cases = [(missing, spread, shift) for missing in (0, 0.3, 0.95) for spread in (1e-3, 1, 300) for shift in (0, 0.4)]
    measures = {str(case): drawn(rng, 48, missing=case[0], spread=case[1], shift=case[2] * case[1]) for case in cases}
    found = resampling.intervals(measures)
    for name, pairs in measures.items():
        means = bootstrap.resamples(48).means([pair or (None, None) for pair in pairs])
        low, high = bootstrap.interval(means[:, 1] - means[:, 0])
        interval = found[name]
        assert interval is not None
        assert (interval.low, interval.high) == (round(low, 6), round(high, 6)), name
        assert interval.pairs == sum(pair is not None for pair in pairs)


def test_what_was_measured_for_no_pair_has_no_interval() -> None:
    """It is not zero."""
    assert resampling.intervals({"x": [None, None], "y": [(0.0, 1.0), None]})["x"] is None
    assert resampling.intervals({"x": []}) == {"x": None}
    assert resampling.intervals({}) == {}


def test_the_same_answers_differ_by_nothing() -> None:
    """Zero, and an interval of zero."""
    pairs: list[Pair] = [(value / 7, value / 7) for value in range(48)]
    assert resampling.intervals({"x": pairs})["x"] == Interval(0, 0, 0, 48)


@pytest.mark.parametrize("better", ["higher", "lower", "neither"])
@pytest.mark.parametrize("bounds", [(0.1, 0.3), (-0.3, -0.1), (-0.1, 0.1), (0, 0.2)])
@pytest.mark.parametrize("pairs", [29, 30])
def test_the_verdicts_are_those_of_the_evaluation(better: str, bounds: tuple[float, float], pairs: int) -> None:
    """One rule, in two worlds."""
    from pipeline.inside.scoring import bootstrap

    low, high = bounds
    direction = {"higher": "higher", "lower": "lower"}.get(better, "")
    expected = bootstrap.verdict(low, high, direction, pairs)  # type: ignore[arg-type]
    assert verdict(Interval(0.0, low, high, pairs), better) == expected


def test_three_hundred_prompts_with_twenty_measures_take_seconds() -> None:
    """Host code has no numpy. Processor time: the machine may be busy."""
    rng = random.Random(2)
    measures = {str(at): drawn(rng, 300, missing=0.1, spread=1, shift=0) for at in range(20)}
    resampling.resamples.cache_clear()
    started = time.process_time()
    resampling.intervals(measures)
    assert time.process_time() - started < 5
