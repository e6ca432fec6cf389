"""The share of a run that is spent on checks."""

from __future__ import annotations

import pytest

from bench.overhead import beside_work, checking


def stage(status: str, wall: float, gates: float) -> dict[str, str | float]:
    """A stage of a run's record."""
    return {"status": status, "wall_s": wall, "gates_s": gates}


def test_stages_that_only_check_count_whole_and_others_with_their_gates() -> None:
    """preflight, each verify- stage and compare; of a training only its gates; what was there already not at all."""
    stages = {
        "preflight": stage("built", 2.0, 0.5),
        "train": stage("built", 7.0, 0.5),
        "verify-hf": stage("built", 1.0, 0.0),
        "compare": stage("hit", 90.0, 90.0),
    }
    assert checking(stages) == pytest.approx(0.35)


def test_what_a_run_takes_beside_its_work_is_a_mean_over_what_it_built() -> None:
    """Gates count; a hit was not built, and takes part neither in the sum nor in the number."""
    stages = {
        "train": stage("built", 7.0, 0.01) | {"work_s": 6.9},
        "merge": stage("built", 1.0, 0.0) | {"work_s": 0.94},
        "compare": stage("hit", 90.0, 0.0) | {"work_s": 0.0},
    }
    assert beside_work(stages) == pytest.approx(0.08)
