"""Every planted fault is stopped by the gate meant for it, at the first stage that could know; sound runs are not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.gates.names import NAMES
from tests.faults.fault import Fault, follow, shortcomings
from tests.faults.healthy import HEALTHY, TRAINED
from tests.faults.registry import FAULTS
from tests.faults.table import PAGE, Result, listed, render, time_class
from tests.faults.workshop import REFUSED, Trail, Workshop, order_of


def _case(fault: Fault) -> Any:
    marks = [pytest.mark.long] if fault.slow else []
    if fault.missed:
        marks.append(pytest.mark.xfail(reason=fault.missed, strict=True))
    return pytest.param(fault, id=fault.name, marks=marks)


@pytest.mark.parametrize("fault", [_case(fault) for fault in FAULTS])
def test_a_planted_fault_is_stopped(fault: Fault, shop: Workshop) -> None:
    """By exactly its gate, with its cause, at its stage, the stages before it silent."""
    assert shortcomings(fault, follow(fault, shop)) == []


@pytest.mark.parametrize(
    "trail",
    [
        *(pytest.param(trail, id=name) for name, trail in HEALTHY.items()),
        *(pytest.param(trail, id=name, marks=pytest.mark.long) for name, trail in TRAINED.items()),
    ],
)
def test_sound_material_raises_no_alarm(trail: Callable[[Workshop], Trail], shop: Workshop) -> None:
    """The same jobs and gates without a fault."""
    assert [one.failed for one in trail(shop) if one.failed] == []


def test_the_page_lists_exactly_these_faults() -> None:
    """A fault that is added is on the page after `nox -s faults`."""
    assert sorted(listed()) == sorted(fault.name for fault in FAULTS)


def test_every_line_of_the_page_has_six_cells() -> None:
    """A `|` of a special token is no border."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {7}


def test_names_are_unique_and_gates_and_stages_exist() -> None:
    """A case with a wrong name would never be missed."""
    assert max(Counter(fault.name for fault in FAULTS).values()) == 1
    assert {fault.gate for fault in FAULTS} <= {*NAMES, REFUSED}
    assert {gate for fault in FAULTS for gate in (*fault.also, fault.warned_before) if gate} <= set(NAMES)
    assert {fault.stage for fault in FAULTS} <= {*order_of(_recipe())}


def _recipe() -> Any:
    from pipeline.loading import load_recipe

    return load_recipe("seedling")


def test_a_time_keeps_its_class_unless_it_is_clearly_wrong() -> None:
    """The page must not change with every run."""
    assert time_class(6.0, "under 5 s") == "under 5 s"
    assert time_class(6.0, "") == "under a minute"
    assert time_class(16.0, "under 5 s") == "under a minute"
    assert time_class(2.0, "under a minute") == "under a minute"
    assert time_class(1.0, "under a minute") == "under 5 s"


def test_a_fault_that_is_not_caught_is_said_so() -> None:
    """The page does not hide it."""
    page = render([Result(FAULTS[0], ["nothing stopped it: prepare"], 1.0)], order_of(_recipe()), [], "")
    assert "**not caught**: nothing stopped it" in page
    assert "0 of 1" in page
    assert PAGE.name == "faults.md"
