"""Verdicts made again from value and limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ReleaseError
from pipeline.gates.verdict import Verdict
from pipeline.judge import judge
from pipeline.stages.registry import stages_of
from pipeline.verifying.gate_limits import recomputed
from tests.support.healthy_build import recipe, write_build


@pytest.mark.parametrize(
    ("outcome", "value", "limit", "expected"),
    [
        ("passed", 0.3, "at most 0.3", True),
        ("passed", 0.31, "at most 0.3", False),
        ("passed", 10, ">= 10", True),
        ("passed", 9, ">= 10", False),
        ("passed", 0.06, "warns over 0.07, fails over 0.12", True),
        ("passed", 0.08, "warns over 0.07, fails over 0.12", False),
        ("warned", 0.08, "warns over 0.07, fails over 0.12", True),
        ("warned", 0.13, "warns over 0.07, fails over 0.12", False),
        ("passed", 0.985, "at least 0.98, warns under 0.995", False),
        ("warned", 0.985, "at least 0.98, warns under 0.995", True),
        ("warned", 0.97, "at least 0.98, warns under 0.995", False),
        ("passed", 0.04, "warn over 5%, fail over 50%", True),
        ("warned", 0.51, "warn over 5%, fail over 50%", False),
        ("passed", 0.0005, "0.0001–0.0005, fails over 0.01", True),
        ("passed", 0.00051, "0.0001–0.0005, fails over 0.01", False),
        ("warned", 0.02, "0.0001–0.0005, fails over 0.01", False),
        ("passed", 0, "0 missing", True),
        ("passed", 1, "0 missing", False),
        ("passed", 1, "exactly 1", True),
        ("passed", 2, "exactly 1", False),
        ("passed", 0.5, "over 0.5, and its lower bound (95 %)", False),
        ("passed", 1120, "fail under 500, warn under 1000, good from 5000", True),
        ("passed", 900, "fail under 500, warn under 1000, good from 5000", False),
        ("passed", 3, "<= 3; <= 2 under 1000 rows", True),
        ("passed", 70000.0, "finite, under 65504", False),
        ("passed", 0.9, "at least 0 where the validation loss rises", None),
        ("passed", -0.9, "at least 0 where the validation loss rises", None),
        ("passed", 0.4, "under 0.3 without validation gain fails, under 0.5 warns", None),
        ("passed", "cosine", "cosine", None),
        ("passed", True, "0", None),
        ("passed", 7, "all seven", None),
        ("passed", "0.31", "at most 0.3", False),
        ("passed", " 0.3 ", "at most 0.3", True),
        ("passed", "31%", "at most 0.3", False),
        ("passed", "1e999", "at least 5", False),
        ("passed", "nan", "at most 5", False),
        ("passed", float("inf"), "at least 5", False),
        ("passed", "9" * 64, "equal", None),
        ("warned", "inf", "warns over 0.07, fails over 0.12", False),
    ],
)
def test_an_outcome_against_its_value(outcome: str, value: Any, limit: str, expected: bool | None) -> None:  # noqa: FBT001
    """Possible, impossible, or not to be told since the limit is words."""
    assert recomputed(outcome, value, limit) is expected


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("at most 1e999", "no finite number"),
        (f"{'x, ' * 200}at most 0.3", "more than 500 characters"),
        ("at most " + "9" * 50, "too many digits"),
    ],
)
def test_a_limit_that_no_gate_writes(limit: str, words: str) -> None:
    """It is refused, and not read in part."""
    with pytest.raises(ReleaseError, match=words):
        recomputed("passed", 0.5, limit)


def test_every_limit_that_gates_write_agrees_with_their_verdicts(tmp_path: Path) -> None:
    """On a whole healthy build nothing is called wrong, and most limits are comparisons."""
    build, settings = write_build(tmp_path), recipe()
    judged: list[Verdict] = []
    for stage in stages_of(settings):
        if stage.name in build:
            inputs = {name: build[made] for name, made in stage.read_by_gates.items() if made in build}
            judged += judge(stage, settings, build[stage.name], inputs)
    assert len(judged) > 100
    found = [recomputed(one.outcome, one.value, one.limit) for one in judged if one.outcome in {"passed", "warned"}]
    assert False not in found
    assert found.count(True) > 2 * found.count(None)
