"""The recipe's settings come out as the trainer takes them."""

from __future__ import annotations

import pytest

from pipeline.inside import training_plan
from tests.support.prepared import recipe


@pytest.mark.parametrize(
    ("given", "epochs", "steps", "evaluations"),
    [(504, 1.0, 63, 12), (505, 1.0, 64, 12), (505, 2.0, 128, 25), (7, 0.5, 1, 0)],
)
def test_steps_are_counted_as_the_trainer_counts_them(given: int, epochs: float, steps: int, evaluations: int) -> None:
    """Batches round up, accumulated steps round up, evaluations fall on whole multiples."""
    train = recipe(train={"epochs": epochs}).slice("train")["train"]
    plan = training_plan.training_plan(train, {"train": given, "validation": 1, "test": 1})
    assert (plan["steps"], plan["evaluations"]) == (steps, evaluations)


def test_the_rslora_scale_is_not_two() -> None:
    """Rank 32, alpha 64: 2 without rsLoRA, 11.3 with it."""
    lora = recipe(train={"lora": {"rslora": True}}).slice("train")["train"]["lora"]
    assert training_plan.adapter_plan(lora)["scale"] == pytest.approx(11.3137, abs=1e-4)
    assert training_plan.adapter_plan({**lora, "rslora": False})["scale"] == 2.0
