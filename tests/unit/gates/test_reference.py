"""`docs/gates.md` lists every gate, with the limits that a recipe has by default."""

from __future__ import annotations

import re

import pytest

from pipeline.gates import reference
from pipeline.gates.data import DataLimits
from pipeline.gates.limits import GateLimits
from pipeline.gates.names import NAMES
from pipeline.gates.quantization_limits import LIMITS
from pipeline.gates.reference import by_stage, filled, gates_page, keys_of
from pipeline.recipe_errors import models_in


def rows(page: str) -> dict[str, list[str]]:
    """Return gate → the other cells of its row."""
    lines = re.findall(r"^\| `([a-z0-9.-]+)` \| (.+) \|$", page, re.MULTILINE)
    return {name: re.split(r"(?<!\\) \| ", rest) for name, rest in lines}


def test_every_gate_has_one_row_of_seven_cells() -> None:
    """In the registry's order."""
    found = rows(gates_page())
    assert list(found) == list(NAMES)
    assert {len(cells) for cells in found.values()} == {6}


def test_each_stage_has_one_table() -> None:
    """Stages that are judged alike share it."""
    headings = re.findall(r"^## (.+)$", gates_page(), re.MULTILINE)
    assert headings[:-1] == [", ".join(stages) for stages, _ in by_stage()]
    assert len(set(headings)) == len(headings)


def test_limits_are_the_recipes_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """A default that changes, changes the page."""
    assert rows(gates_page())["data.clean-rows"][2] == f"under {DataLimits().rows_fail}"
    limits = GateLimits(data=DataLimits(rows_fail=777))
    monkeypatch.setattr(reference, "GateLimits", _Given(limits))
    assert rows(gates_page())["data.clean-rows"][2] == "under 777"


class _Given:
    """Stands for the type of the limits: has its fields, and makes the given ones."""

    model_fields = GateLimits.model_fields

    def __init__(self, limits: GateLimits) -> None:
        self._limits = limits

    def __call__(self) -> GateLimits:
        """Return the given limits."""
        return self._limits


def test_every_key_of_the_limits_is_on_the_page() -> None:
    """Whoever changes a limit finds the gate that it decides."""
    page = gates_page()
    keys = [
        f"{area}.{name}"
        for area, field in GateLimits.model_fields.items()
        for model in models_in(field.annotation)
        for name in model.model_fields
    ]
    assert len(keys) > 50
    assert [key for key in keys if key not in page] == []


def test_keys_are_told_once_and_filled_with_values() -> None:
    """Of what is measured, what fails and what warns."""
    gate = NAMES["data.near-duplicates"]
    assert keys_of(gate) == ["data.near_duplicates", "clean.near_duplicate_jaccard"]
    assert filled(gate.fails) == "over 0, counted from a Jaccard index of 0.6 on"


def test_every_quantized_type_has_its_limits() -> None:
    """One line each."""
    assert re.findall(r"^\| ([A-Z0-9_]+) \| [\d.]+, ", gates_page(), re.MULTILINE) == list(LIMITS)


def test_the_head_says_what_waivers_are_and_with_what_a_failed_run_ends() -> None:
    """The exit code is the program's."""
    head = gates_page().split("\n## ", maxsplit=1)[0]
    assert "exit code 60" in head
    assert "[[waivers]]" in head
