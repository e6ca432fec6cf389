"""Intervals of win rates: right as often as they say, on any side, with any number of ties."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from pipeline.gates.statistics import wilson_interval
from pipeline.llm_judge.intervals import LEAST_PROMPTS, half_and_half, paired_interval, share, verdict


@pytest.mark.parametrize(("win", "loss"), [(0.5, 0.5), (0.3, 0.3), (0.6, 0.1), (0.1, 0.02), (0.9, 0.05)])
def test_the_interval_holds_the_truth(win: float, loss: float) -> None:
    """Of 1,000 drawn evaluations of 48 prompts at least 91 in a hundred intervals hold the true difference."""
    drawn = random.Random(20260101)
    held = 0
    for _ in range(1000):
        values = [drawn.random() for _ in range(48)]
        wins, losses = sum(value < win for value in values), sum(win <= value < win + loss for value in values)
        low, high = paired_interval(wins, losses, 48)
        held += low <= win - loss <= high
    assert held >= 910


def test_sides_are_alike() -> None:
    """Exchanging wins and losses mirrors the interval."""
    for wins, losses, prompts in ((10, 2, 48), (48, 0, 48), (0, 0, 30), (7, 7, 14)):
        low, high = paired_interval(wins, losses, prompts)
        assert paired_interval(losses, wins, prompts) == pytest.approx((-high, -low))


def test_all_alike_is_not_sure() -> None:
    """48 of 48 leave the room that Wilson leaves; a bootstrap would leave none."""
    low, high = paired_interval(48, 0, 48)
    assert ((1 + low) / 2, (1 + high) / 2) == pytest.approx(wilson_interval(48, 48), abs=1e-3)


def test_ties_narrow_it() -> None:
    """A tie says that the two are near each other: it is no missing value."""
    with_ties, without = paired_interval(6, 2, 48), paired_interval(6, 2, 8)
    assert with_ties[1] - with_ties[0] < without[1] - without[0]


def test_a_tie_counts_half() -> None:
    """Three wins, one loss, four ties: 5 of 8."""
    assert half_and_half(3, 1, 8)["value"] == 0.625


def test_no_prompt_says_nothing() -> None:
    """Everything is possible."""
    assert paired_interval(0, 0, 0) == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("wins", "losses", "prompts", "said"),
    [
        (30, 10, 48, "better"),
        (10, 30, 48, "worse"),
        (20, 18, 48, "no difference shown"),
        (29, 0, 29, "too few prompts"),
    ],
)
def test_verdicts_are_those_of_the_evaluation(wins: int, losses: int, prompts: int, said: str) -> None:
    """In the words of docs/evaluation.md."""
    rate = half_and_half(wins, losses, prompts)
    assert verdict(float(rate["low"]), float(rate["high"]), prompts) == said
    assert said in (Path(__file__).parents[3] / "docs" / "evaluation.md").read_text("utf-8")


def test_too_few_is_the_evaluations_number() -> None:
    """`evaluate` draws the line at the same number; its module needs NumPy, so it is read."""
    text = (Path(__file__).parents[3] / "pipeline" / "inside" / "scoring" / "bootstrap.py").read_text("utf-8")
    assert re.search(r"^LEAST_PAIRS = (\d+)$", text, re.MULTILINE)[1] == str(LEAST_PROMPTS)  # type: ignore[index]


def test_shares_have_wilson_intervals() -> None:
    """Rounded, so that bytes do not hang on the last bit."""
    low, high = wilson_interval(16, 48)
    assert share(16, 48) == {"value": 0.333333, "low": round(low, 6), "high": round(high, 6)}
