"""The loop over the parts: what fails, what has no time, what was measured before."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.gpu.bench import Bench
from bench.gpu.budget import RESERVE_S, Budget
from bench.gpu.parts import Part, plan, run
from bench.gpu.processes import NotMeasuredError
from bench.gpu.results import Result, Results
from bench.gpu.shapes import LARGE, SMALL


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A bench without a card."""
    return Bench(tmp_path / "work", "cpu", None, Path("python"), Results((tmp_path / "work", tmp_path / "out")))


def part(name: str, measure: Callable[[Bench, float], dict[str, Any]], least_s: float = 1, most_s: float = 50) -> Part:
    """A part of a test."""
    return Part(name, least_s, most_s, measure)


def untold(_: Result) -> None:
    """Tell nobody."""


def refuse(_: Bench, __: float) -> dict[str, Any]:
    """Fail as a part does that cannot be measured."""
    raise NotMeasuredError("no nvcc on this machine")


def test_what_was_measured_is_on_the_disk_before_the_next_part_begins(bench: Bench, tmp_path: Path) -> None:
    """In both folders: a crash of the second part, of whatever kind, costs nothing of the first."""

    def crash(_: Bench, __: float) -> dict[str, Any]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(bench, [part("first", lambda _, __: {"speed": 7}), part("second", crash)], Budget(100), untold)
    for folder in ("work", "out"):
        read = json.loads((tmp_path / folder / "measured.json").read_text(encoding="utf-8"))
        assert [(one["part"], one["figures"]) for one in read["parts"]] == [("first", {"speed": 7})]


def test_a_part_that_cannot_be_measured_says_why_and_the_next_is_begun(bench: Bench) -> None:
    """A fault of the bench itself as well."""
    parts = [part("refused", refuse), part("faulty", lambda _, __: {"x": 1 // 0}), part("well", lambda _, __: {})]
    run(bench, parts, Budget(100), untold)
    assert bench.results.reason("refused") == "no nvcc on this machine"
    assert "a fault of the bench: ZeroDivisionError" in bench.results.reason("faulty")
    assert bench.results.measured("well") == {}


def test_a_part_without_time_is_not_begun(bench: Bench) -> None:
    """A shorter one after it is, with no more than what is left."""
    clock, given = Clock(), []
    budget = Budget(30 + RESERVE_S, clock)

    def note(_: Bench, limit_s: float) -> dict[str, Any]:
        given.append(limit_s)
        clock.now += 12
        return {}

    run(bench, [part("a", note, most_s=20), part("b", note, least_s=25), part("c", note)], budget, untold)
    assert given == [20, 18]
    assert bench.results.reason("b").startswith("no time: it needs some 25 s, 18 were left")


def test_a_second_command_measures_what_the_first_did_not(bench: Bench, tmp_path: Path) -> None:
    """What was measured is not measured again, whatever was emptied beside the work folder."""
    run(bench, [part("a", lambda _, __: {"at": 1}), part("b", refuse)], Budget(100), untold)
    (tmp_path / "out" / "measured.json").unlink()
    again = Bench(bench.work, "cpu", None, Path("python"), Results((tmp_path / "work", tmp_path / "out")))
    run(again, [part("a", lambda _, __: {"at": 2}), part("b", lambda _, __: {"at": 2})], Budget(100), untold)
    read = json.loads((tmp_path / "out" / "measured.json").read_text(encoding="utf-8"))
    assert {one["part"]: one["figures"] for one in read["parts"]} == {"a": {"at": 1}, "b": {"at": 2}}


def test_the_smaller_model_trains_first_and_names_are_unique() -> None:
    """The order of issue 7; a name is a key of the results."""
    names = [one.name for one in plan([SMALL, LARGE], "cuda")]
    assert names.index("train-1.7b-unsloth") < names.index("model-14b") < names.index("library-native")
    assert len(names) == len(set(names))


def test_a_file_without_room_is_refused_with_the_figures(bench: Bench) -> None:
    """Before anything is written; an empty folder of old files goes first."""
    with pytest.raises(NotMeasuredError, match=r"it needs 1000000 GB of room, and .* has \d+"):
        bench.fresh("huge", 10**15)
