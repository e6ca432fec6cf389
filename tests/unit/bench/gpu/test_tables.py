"""Tables from results, whole and with holes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.gpu import checks, tables
from bench.gpu.results import MEASURED, NOT_MEASURED, Result, Results
from bench.gpu.shapes import LARGE, SMALL
from bench.table import Table


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Nothing measured yet."""
    return Results((tmp_path,))


def add(results: Results, part: str, **figures: Any) -> None:
    """Add what a part found."""
    results.add(Result(part, MEASURED, 1.0, figures=figures))


def trained(tokens_per_s: float, memory: float) -> dict[str, Any]:
    """Figures of a training."""
    return {
        "tokens_per_s": tokens_per_s,
        "step_s": 4096 / tokens_per_s,
        "peak_card_bytes": memory,
        "peak_tensor_bytes": memory - 2e9,
        "utilization": 0.25,
        "first_loss": 12.0,
        "last_loss": 11.5,
    }


def table(results: Results, ending: str) -> Table:
    """Return one table of the results."""
    return next(one for one in tables.of(results, [SMALL, LARGE], "cuda") if one.title == f"On a card: {ending}")


def cells(results: Results, ending: str, first: str) -> tuple[str, ...]:
    """Return the row that begins with a text."""
    return next(row[1:] for row in table(results, ending).rows if row[0] == first)


def test_nothing_measured_is_said_in_every_cell_and_with_every_reason(results: Results) -> None:
    """Never a zero."""
    results.add(Result("train-14b-unsloth", NOT_MEASURED, 0.1, "this environment has no Unsloth"))
    assert set(cells(results, "training", "14b, Unsloth")) == {"not measured"}
    assert cells(results, "not measured", "train-14b-unsloth") == ("this environment has no Unsloth",)
    assert cells(results, "not measured", "train-14b-trl") == ("it was not run",)


def test_the_goal_stands_beside_the_comparison(results: Results) -> None:
    """Twice as fast in half of the memory meets it."""
    add(results, "train-14b-trl", **trained(1000, 40e9))
    add(results, "train-14b-unsloth", **trained(2000, 20e9))
    found = cells(results, "training", "14b, Unsloth against TRL")
    assert (found[0], found[2]) == ("2.00 x, met (goal 1.8 x)", "50%, met (goal 60%, under 40 GB)")
    assert cells(results, "training", "14b, TRL, PEFT")[:4] == ("1,000", "4.096", "40.00", "38.00")


@pytest.mark.parametrize(("speed", "memory", "other"), [(1790, 30e9, 40e9), (2000, 41e9, 80e9)])
def test_a_goal_that_is_missed_says_so(results: Results, speed: float, memory: float, other: float) -> None:
    """Too slow and too large; or half of the memory, but over 40 GB."""
    add(results, "train-14b-trl", **trained(1000, other))
    add(results, "train-14b-unsloth", **trained(speed, memory))
    assert "missed" in "".join(cells(results, "training", "14b, Unsloth against TRL"))


def test_both_libraries_are_compared_and_the_seeds_stand_below(results: Results) -> None:
    """PTX at half of the speed; what the driver compiled is told of the first file only."""
    files = {"F16": {"read_per_s": 100.0, "written_per_s": 10.0}, "Q4_K_M": {"read_per_s": 80.0, "written_per_s": 20.0}}
    half = {name: {key: value / 2 for key, value in one.items()} for name, one in files.items()}
    add(results, "speak-14b-native", files=files, cold_start_s=None, compiling_s=None)
    add(results, "speak-14b-ptx", files=half, cold_start_s=95.0, compiling_s=90.0)
    add(results, "divergence-14b", **{"ptx F16": {"mean_kl": 0.00123, "top1_agreement": 0.99}})
    rows = {row[:2]: row[2:] for row in table(results, "speed of llama.cpp").rows}
    assert rows["14b", "F16, PTX, compiled by the driver"] == ("50.0", "5.0", "95.0", "90.0", "0.0012", "99.0%")
    assert rows["14b", "Q4_K_M, PTX, compiled by the driver"][2:] == ("", "", "not measured", "not measured")
    assert rows["14b", "F16, PTX against code for the card"][:2] == ("0.50 x", "0.50 x")
    assert rows["14b, seed 000", "Q4_K_M"][:2] == ("35.1", "5.8")


def test_a_card_that_was_full_misses_the_goal_whatever_its_tensors_took(results: Results) -> None:
    """40.5 GB in use with 38.5 GB of tensors fits no card of 40 GB."""
    add(results, "train-14b-trl", **trained(1000, 80e9))
    add(results, "train-14b-unsloth", **trained(2000, 40.5e9))
    assert cells(results, "training", "14b, Unsloth against TRL")[2] == "51%, missed (goal 60%, under 40 GB)"


def test_memory_that_the_driver_did_not_tell_is_not_measured(results: Results) -> None:
    """And no goal is judged by what tensors took."""
    add(results, "train-14b-trl", **trained(1000, 40e9))
    add(results, "train-14b-unsloth", **{**trained(2000, 20e9), "peak_card_bytes": None})
    assert cells(results, "training", "14b, Unsloth")[2] == "not measured"
    assert cells(results, "training", "14b, Unsloth against TRL")[2] == "not measured; goal 60%, under 40 GB"


def test_checks_are_a_share_of_a_whole_training(results: Results) -> None:
    """100 steps of 4 s: 800 rows, 8 a step. What was not measured is not in the sum, and is named with its reason."""
    add(results, "train-14b-unsloth", **trained(1024, 30e9))
    for stage in checks.STAGES[1:]:
        add(results, checks.part(LARGE, stage), seconds=3.0, whole_s=4.0)
    results.add(Result("check-14b-preflight", NOT_MEASURED, 0.1, "no tree"))
    assert "40 s (10 of 11, without preflight) are 10% of 400 s" in table(results, "checks").note
    assert cells(results, "checks", "preflight") == ("not measured: no tree", "")
    assert cells(results, "checks", "verify-hf") == ("3.0", "4.0")


def test_all_checks_are_said_to_be_all(results: Results) -> None:
    """Only where every one was measured. What of the recipe was answered and read stands beside it."""
    add(results, "train-14b-unsloth", **trained(1024, 30e9))
    for stage in checks.STAGES:
        add(results, checks.part(LARGE, stage), seconds=3.0, whole_s=4.0)
    note = table(results, "checks").note
    assert "44 s (all) are 11% of 400 s" in note
    assert "64 of the recipe's 64 prompts, read 6,250 of its 50,000 tokens" in note


def test_two_runs_that_differ_name_their_tensors(results: Results) -> None:
    """The first three."""
    tensors = {"differ": 4, "of": 9, "only_in_one": [], "largest": 0.5, "names": ["a", "b", "c", "d"]}
    add(results, "same-1.7b-trl", sha256=["0" * 64, "1" * 64], equal=False, tensors=tensors)
    found = cells(results, "the same run twice", "1.7b, TRL, PEFT")
    assert found == ("`0000000000000000`", "`1111111111111111`", "4 of 9: a, b, c ...", "0.5")


def test_layers_that_landed_on_the_card_are_told(results: Results) -> None:
    """Of a file that does not fit wholly."""
    files = {"F16": {"read_per_s": 100.0, "written_per_s": 10.0, "layers": 21.0}}
    add(results, "speak-14b-native", files=files, cold_start_s=None, compiling_s=None)
    labels = [row[1] for row in table(results, "speed of llama.cpp").rows]
    assert "F16, code for the card, 21 layers there" in labels
