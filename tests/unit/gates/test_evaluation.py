"""The gates of `evaluate`: whole, and of prompts that training never saw."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.gates.evaluation import evaluation_gates
from pipeline.gates.verdict import Verdict
from tests.support.healthy_build import (
    Row,
    evaluated_answers,
    evaluation,
    judge,
    outcomes,
    prompts,
    recipe,
    trained_row,
    write_build,
    write_json,
    write_rows,
)


@pytest.fixture
def build(tmp_path: Path) -> dict[str, Path]:
    """A healthy build."""
    return write_build(tmp_path)


def judged(build: dict[str, Path]) -> dict[str, list[Verdict]]:
    """The verdicts on `evaluate`."""
    inputs = {"preflight": build["preflight"], "data": build["prepare"], "baseline": build["evaluate-base"]}
    return judge(evaluation_gates, build["evaluate"], inputs, recipe())


def test_a_healthy_evaluation_passes(build: dict[str, Path]) -> None:
    """Every form is there, no prompt was trained on."""
    assert outcomes(judged(build)) == {"evaluation.forgetting": {"not measured"}}


def test_a_form_that_is_missing_fails(build: dict[str, Path]) -> None:
    """Seed 004: it was a score of -100 %."""
    without = evaluation()
    for metric in without["metrics"].values():
        del metric["values"]["verify-f16"]
    write_json(build["evaluate"] / "evaluation.json", without)
    (verdict,) = judged(build)["evaluation.complete"]
    assert (verdict.outcome, verdict.value) == ("failed", 3)
    assert "bleu of verify-f16" in verdict.evidence[0]


def test_an_answer_that_is_missing_fails(build: dict[str, Path]) -> None:
    """One prompt of 48 was not scored."""
    write_rows(build["evaluate"] / "answers.jsonl", evaluated_answers()[1:])
    (verdict,) = judged(build)["evaluation.complete"]
    assert (verdict.outcome, verdict.value) == ("failed", 5)


def test_a_value_without_number_and_reason_fails(build: dict[str, Path]) -> None:
    """Not measured is not zero, and it says why."""
    silent = evaluation()
    silent["metrics"]["keigo"]["values"]["verify-hf"]["reason"] = None
    write_json(build["evaluate"] / "evaluation.json", silent)
    (verdict,) = judged(build)["evaluation.complete"]
    assert verdict.evidence == ("keigo of verify-hf has neither value nor reason",)


def test_a_measure_over_trainings_without_number_and_reason_fails(build: dict[str, Path]) -> None:
    """As for one training."""
    silent = evaluation()
    silent["seeds"] = {"trainings": [42, 43], "least": 3, "metrics": {"bleu": {"mean": None, "reason": None}}}
    write_json(build["evaluate"] / "evaluation.json", silent)
    (verdict,) = judged(build)["evaluation.complete"]
    assert verdict.evidence == ("bleu over the trainings has neither value nor reason",)


@pytest.mark.parametrize("theme", [prompts()[0]["input"]["theme"], f" {prompts()[0]['input']['theme']}　"])
def test_a_question_of_the_training_is_refused(build: dict[str, Path], theme: str) -> None:
    """Seed 003: 133 questions to train on, the same 133 to test with; white space and width aside."""
    write_rows(build["prepare"] / "train.jsonl", [{**trained_row(0), "input": {"theme": theme}}])
    (verdict,) = judged(build)["evaluation.held-out"]
    assert (verdict.outcome, verdict.value) == ("failed", 1)
    assert "measure memory" in verdict.cause


@pytest.mark.parametrize(("count", "outcome"), [(24, "passed"), (25, "warned")])
def test_prompts_of_the_validation_split_are_told(build: dict[str, Path], count: int, outcome: str) -> None:
    """They chose the checkpoint, so they are not quite unseen; more than half of them deserve a look."""
    rows = [{"id": one["id"], "input": one["input"], "output": "題"} for one in prompts()[:count]]
    write_rows(build["prepare"] / "validation.jsonl", rows)
    (verdict,) = judged(build)["evaluation.held-out"]
    assert verdict.outcome == outcome
    assert verdict.evidence[-1].startswith(f"{count} of 48 prompts are of the validation split")


def test_without_a_held_out_prompt_nothing_is_judged(build: dict[str, Path]) -> None:
    """And it is not called passed."""
    write_rows(build["evaluate"] / "answers.jsonl", [])
    (verdict,) = judged(build)["evaluation.held-out"]
    assert verdict.outcome == "not measured"


def forgotten(kl: float | None, reason: str | None = None) -> Row:
    """evaluation.json of a tuned model that left the base so far on neutral text."""
    found = evaluation()
    forms = found["forms"]
    values = {form: {"value": 0.0 if form == "verify-base" else kl, "reason": reason} for form in forms}
    one = {"against": "verify-base", "form": "verify-hf", "difference": kl, "low": kl, "high": kl}
    found["metrics"]["forgetting_kl"] = {"values": values, "differences": [one]}
    found["metrics"]["neutral_loss"] = {"values": {form: {"value": 2.5, "reason": None} for form in forms}}
    return found


@pytest.mark.parametrize(("kl", "outcome"), [(0.1, "passed"), (0.101, "warned")])
def test_a_model_that_left_its_base_is_told_of(build: dict[str, Path], kl: float, outcome: str) -> None:
    """It warns and never fails: how much may be forgotten is for its user to say."""
    write_json(build["evaluate"] / "evaluation.json", forgotten(kl))
    (verdict,) = judged(build)["evaluation.forgetting"]
    assert (verdict.outcome, verdict.value) == (outcome, kl)
    assert verdict.evidence == (
        "loss of the base 2.5 nats per token",
        f"verify-hf: KL {kl} ({kl} to {kl}), loss 2.5",
    )


def test_the_recipe_sets_how_much_may_be_forgotten(build: dict[str, Path]) -> None:
    """A small model's limit is another one."""
    write_json(build["evaluate"] / "evaluation.json", forgotten(0.8))
    found = judge(evaluation_gates, build["evaluate"], {}, recipe(gates={"evaluation": {"forgetting_kl_warn": 1.0}}))
    assert found["evaluation.forgetting"][0].outcome == "passed"


def test_what_could_not_be_measured_is_not_called_passed(build: dict[str, Path]) -> None:
    """With the reason that the program gave."""
    write_json(build["evaluate"] / "evaluation.json", forgotten(None, "logits over the text are no finite numbers"))
    (verdict,) = judged(build)["evaluation.forgetting"]
    assert (verdict.outcome, verdict.cause) == ("not measured", "logits over the text are no finite numbers")


def test_a_base_with_two_values_fails(build: dict[str, Path]) -> None:
    """Before the training it had another BLEU than beside the tuned model: one of the two is wrong."""
    other = evaluation()
    other["metrics"]["bleu"]["values"]["verify-base"]["value"] = 4.25
    write_json(build["evaluate-base"] / "baseline.json", other)
    (verdict,) = judged(build)["evaluation.baseline"]
    assert (verdict.outcome, verdict.value) == ("failed", 1)
    assert verdict.evidence[0].startswith("bleu: ")


def test_without_a_baseline_nothing_is_compared(build: dict[str, Path]) -> None:
    """And that is told."""
    (build["evaluate-base"] / "baseline.json").unlink()
    (verdict,) = judged(build)["evaluation.baseline"]
    assert verdict.outcome == "not measured"
