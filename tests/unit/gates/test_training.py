"""Each training gate fires on its fault and stays silent on a healthy run."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest

from pipeline.gates.training import training_gates
from pipeline.gates.verdict import Verdict
from tests.support.healthy_build import history, judge, outcomes, recipe, with_validation, write_json

FALLING = [3.0 + 1.2 * math.exp(-at / 3) for at in range(12)]
OVERFITTED = [2.5, 2.1, 1.9, 1.8, 1.85, 1.95, 2.05, 2.2, 2.3, 2.45]


def judged(folder: Path, run: dict[str, Any], **limits: Any) -> dict[str, list[Verdict]]:
    """The verdicts on a run whose recipe has the given training limits."""
    write_json(folder / "history.json", run)
    return judge(training_gates, folder, {}, recipe({"training": limits}))


def test_a_healthy_run_passes_every_gate(tmp_path: Path) -> None:
    """Nothing is warned of, and everything is measured."""
    assert outcomes(judged(tmp_path, history())) == {}


@pytest.mark.parametrize(
    ("determinism", "outcome", "told"),
    [
        (None, "passed", ()),
        ({"mode": "strict", "not_deterministic": [], "not_checked": []}, "passed", ()),
        (
            {"mode": "strict", "not_deterministic": [], "not_checked": ["bitsandbytes"]},
            "passed",
            ("not checked by torch: bitsandbytes",),
        ),
        (
            {"mode": "warn", "not_deterministic": ["put_"], "not_checked": []},
            "warned",
            ("not deterministic: put_",),
        ),
        ({"mode": "off", "not_deterministic": [], "not_checked": []}, "warned", ()),
    ],
)
def test_kernels_without_a_fixed_order_are_told(
    tmp_path: Path, determinism: dict[str, Any] | None, outcome: str, told: tuple[str, ...]
) -> None:
    """Program `train` writes nothing of it: it ends at such a kernel."""
    run = history() | ({} if determinism is None else {"determinism": determinism})
    (verdict,) = judged(tmp_path, run)["training.deterministic"]
    assert (verdict.outcome, verdict.evidence) == (outcome, told)


def test_without_history_nothing_passes(tmp_path: Path) -> None:
    """A missing file is not measured, with the reason, in every gate."""
    found = judge(training_gates, tmp_path, {}, recipe())
    verdicts = [verdict for several in found.values() for verdict in several]
    assert {verdict.outcome for verdict in verdicts} == {"not measured"}
    assert all("history.json" in verdict.cause and verdict.value is None for verdict in verdicts)


@pytest.mark.parametrize("value", [None, "NaN", "Infinity"])
@pytest.mark.parametrize("key", ["loss", "grad_norm"])
def test_non_finite_step_fails(tmp_path: Path, key: str, value: str | None) -> None:
    """A loss or gradient that JSON cannot hold as a number fails, and the step is named."""
    run = history()
    run["train"][16][key] = value
    (verdict,) = judged(tmp_path, run)["training.non-finite"]
    assert (verdict.outcome, verdict.value) == ("failed", 1)
    assert "step 17" in verdict.evidence[0]


def test_non_finite_evaluation_fails(tmp_path: Path) -> None:
    """The validation loss counts too."""
    run = history()
    run["evaluations"][3]["loss"] = None
    assert judged(tmp_path, run)["training.non-finite"][0].outcome == "failed"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"early_stopping_armed": False}, "not armed"),
        ({"best_restored": False}, "not restored"),
        ({"best_step": 20}, "step 20 was kept as best"),
        ({"steps": 40, "planned_steps": 65}, "without a reason"),
    ],
)
def test_early_stopping_that_cannot_have_worked_fails(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    """Each way in which it silently does nothing."""
    (verdict,) = judged(tmp_path, {**history(), **changes})["training.early-stopping"]
    assert verdict.outcome == "failed"
    assert problem in str(verdict.value)


def test_early_stopping_that_did_not_act_fails(tmp_path: Path) -> None:
    """Six evaluations without gain, a patience of four, and the run went on."""
    (verdict,) = judged(tmp_path, with_validation(OVERFITTED))["training.early-stopping"]
    assert verdict.outcome == "failed"
    assert "went on for 6 evaluations" in str(verdict.value)


def test_a_loss_that_falls_and_stays_over_the_untrained_one_is_not_for_early_stopping(tmp_path: Path) -> None:
    """The trainer counts from its first evaluation; that training made it worse is said by `training.improvement`."""
    run = with_validation([9.0 - at / 10 for at in range(10)], initial_validation_loss=4.0)
    found = judged(tmp_path, run)
    assert found["training.early-stopping"][0].outcome == "passed"
    assert found["training.improvement"][0].outcome == "failed"


def test_early_stopping_that_acted_passes(tmp_path: Path) -> None:
    """Four evaluations after the best one the run ended."""
    run = with_validation([2.5, 2.2, 2.0, 1.9, 1.91, 1.92, 1.93, 1.93], stopped_early=True, planned_steps=100)
    assert judged(tmp_path, run)["training.early-stopping"][0].outcome == "passed"


def test_too_few_evaluations_fail(tmp_path: Path) -> None:
    """Six in a whole run cannot show a trend."""
    (verdict,) = judged(tmp_path, with_validation(FALLING[:6]))["training.evaluations"]
    assert (verdict.outcome, verdict.value) == ("failed", 6)


def test_a_run_stopped_early_may_hold_few_evaluations(tmp_path: Path) -> None:
    """Seven were made of the fourteen that the full run would hold."""
    run = with_validation([2.5, 2.2, 2.0, 2.1, 2.2, 2.3, 2.4], stopped_early=True, planned_steps=70)
    (verdict,) = judged(tmp_path, run)["training.evaluations"]
    assert (verdict.outcome, verdict.value) == ("passed", 14)


def test_published_overfitting_fails(tmp_path: Path) -> None:
    """The last state was published, a third over the minimum: both measures fail."""
    found = judged(tmp_path, with_validation(OVERFITTED, restored=False))["training.overfitting"]
    assert [verdict.outcome for verdict in found] == ["failed", "failed"]
    assert "the last state was published" in found[0].cause


def test_contained_overfitting_warns(tmp_path: Path) -> None:
    """The same curve, the best checkpoint restored: what is published did not overfit."""
    found = judged(tmp_path, with_validation(OVERFITTED, restored=True))["training.overfitting"]
    assert [verdict.outcome for verdict in found] == ["warned", "warned"]
    assert "step 20" in found[0].cause


def test_a_late_small_rise_after_early_stopping_is_silent(tmp_path: Path) -> None:
    """Early stopping always ends with a few evaluations over the minimum; under 3.8 % that is no overfitting."""
    run = with_validation([2.5, 2.2, 2.0, 1.95, 1.93, 1.92, 1.925, 1.93, 1.935, 1.94], stopped_early=True)
    assert {verdict.outcome for verdict in judged(tmp_path, run)["training.overfitting"]} == {"passed"}


def test_a_short_noisy_plateau_is_silent(tmp_path: Path) -> None:
    """Ten evaluations around one level, 1 % noise, last state published: hardly a false alarm in 200 curves."""
    chance = random.Random(7)
    alarms = 0
    for _ in range(200):
        losses = [2.0 * (1 + chance.gauss(0, 0.01)) for _ in range(10)]
        found = judged(tmp_path, with_validation(losses, restored=False))["training.overfitting"]
        alarms += any(verdict.outcome == "failed" for verdict in found)
    assert alarms <= 4


def test_noisy_overfitting_of_ten_points_is_found(tmp_path: Path) -> None:
    """A rise of 15 % under 2 % noise is found in at least 19 of 20 curves."""
    chance = random.Random(11)
    shape = [2.6, 2.3, 2.1, 2.0, 2.0, 2.05, 2.1, 2.18, 2.24, 2.3]
    found = 0
    for _ in range(100):
        run = with_validation([loss * (1 + chance.gauss(0, 0.02)) for loss in shape], restored=False)
        found += any(verdict.outcome == "failed" for verdict in judged(tmp_path, run)["training.overfitting"])
    assert found >= 95


def test_overfitting_on_four_points_is_not_measured(tmp_path: Path) -> None:
    """Too few points for a verdict, and never a pass."""
    found = judged(tmp_path, with_validation(FALLING[:4]))["training.overfitting"]
    assert {verdict.outcome for verdict in found} == {"not measured"}


def test_a_wide_gap_warns(tmp_path: Path) -> None:
    """Validation loss three times the training loss at the best step."""
    run = history()
    for step in run["train"]:
        step["loss"] /= 3
    (verdict,) = judged(tmp_path, run)["training.loss-gap"]
    assert verdict.outcome == "warned"
    assert isinstance(verdict.value, float)
    assert verdict.value > 2


def seed_run(last: float) -> dict[str, Any]:
    """A training loss that falls from 2.847 to `last`, as in seed 000."""
    run = history()
    for step in run["train"]:
        step["loss"] = last + (2.847 - last) * math.exp(-step["step"] / 6)
    return run


def test_low_training_loss_without_validation_gain_fails(tmp_path: Path) -> None:
    """The bad run of seed 000: 0.254 at the end, nothing gained on validation."""
    run = {**seed_run(0.254), "best_validation_loss": 5.05}
    assert judged(tmp_path, run)["training.low-loss"][0].outcome == "failed"


def test_low_training_loss_with_validation_gain_warns(tmp_path: Path) -> None:
    """A regular task may be learned that well; somebody should look."""
    assert judged(tmp_path, seed_run(0.254))["training.low-loss"][0].outcome == "warned"


def test_a_fall_over_ninety_percent_warns(tmp_path: Path) -> None:
    """From 2.6 to 0.2."""
    assert judged(tmp_path, seed_run(0.15))["training.loss-fall"][0].outcome == "warned"


def test_a_sudden_fall_warns(tmp_path: Path) -> None:
    """The second epoch starts, and the loss falls to a third at once."""
    run = history()
    for step in run["train"]:
        step["loss"] = 2.0 if step["step"] <= 40 else 0.7
    assert judged(tmp_path, run)["training.sudden-fall"][0].outcome == "warned"


def test_the_steep_start_is_no_sudden_fall(tmp_path: Path) -> None:
    """Every healthy run starts so."""
    run = history()
    for step in run["train"]:
        step["loss"] = 1.0 + 9.0 * math.exp(-step["step"] / 2)
    assert judged(tmp_path, run)["training.sudden-fall"][0].outcome == "passed"


def test_training_that_does_not_help_fails(tmp_path: Path) -> None:
    """A validation loss 1 % under that of the base is no gain."""
    run = {**history(), "best_validation_loss": 5.05}
    (verdict,) = judged(tmp_path, run)["training.improvement"]
    assert verdict.outcome == "failed"
    assert verdict.value == pytest.approx(1 - 5.05 / 5.1, rel=1e-4)


def test_the_recipe_sets_the_least_gain(tmp_path: Path) -> None:
    """The same run passes under a recipe that asks for less."""
    run = {**history(), "best_validation_loss": 5.05}
    assert judged(tmp_path, run, validation_gain_fail=0.005)["training.improvement"][0].outcome == "passed"


def test_training_nothing_fails(tmp_path: Path) -> None:
    """No projection had the names of train.lora.targets."""
    assert judged(tmp_path, {**history(), "trainable_parameters": 0})["training.trainable"][0].outcome == "failed"
