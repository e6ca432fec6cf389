"""The share of a run that is spent on checks."""

from __future__ import annotations

import pytest

from bench.overhead import checking


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
