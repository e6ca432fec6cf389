"""Faults that only a training shows: short real runs on the seedling's base and few of its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside.job import read_jsonl, write_jsonl
from pipeline.recipe import Recipe
from tests.faults.fault import Fault
from tests.faults.workshop import Judged, Trail, Workshop

SHORT = {"warmup_steps": 4, "eval_every_steps": 5}
"""Settings that make 100 rows in two epochs a sound plan: 50 steps, 10 evaluations."""


def few_rows(shop: Workshop, train: int, validation: int = 24) -> dict[str, Path]:
    """Take the first rows of each split."""
    folder = shop.new("few-rows")
    for split, count in (("train", train), ("validation", validation), ("test", validation)):
        write_jsonl(folder / f"{split}.jsonl", read_jsonl(shop.made["prepare"] / f"{split}.jsonl")[:count])
    return {"prepare": folder}


def short_run(shop: Workshop, rows: int = 100, gates: Mapping[str, Any] | None = None, **settings: Any) -> Trail:
    """Train on few rows with changed settings; `gates` are limits that are set as well."""
    recipe = shop.with_settings(train={**SHORT, **settings}, gates=gates or {})
    data = few_rows(shop, rows)
    yield shop.run("preflight", data, recipe)
    yield shop.run("train", data, recipe)


def _last_state(shop: Workshop, data: dict[str, Path], recipe: Recipe) -> Judged:
    """Train with a trainer that keeps no best checkpoint and never stops."""
    from transformers import EarlyStoppingCallback

    from pipeline.inside import fine_tuning

    real: Callable[..., Any] = fine_tuning.settings

    class NeverStops(EarlyStoppingCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            """Ask for nothing."""

        def on_evaluate(self, *_: Any, **__: Any) -> None:
            """Look away."""

    def settings(*given: Any, **named: Any) -> Any:
        found = real(*given, **named)
        found.load_best_model_at_end = False
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fine_tuning, "settings", settings)
        patch.setattr(fine_tuning, "EarlyStoppingCallback", NeverStops)
        return shop.run("train", data, recipe)


def overfitted(shop: Workshop) -> Trail:
    """Let the recipe allow 25 epochs over 24 rows, and publish the last state."""
    recipe = shop.with_settings(
        train={**SHORT, "epochs": 25.0, "learning_rate": 2e-3, "eval_every_steps": 10},
        gates={"preflight": {"epochs_fail": 50.0}},
    )
    data = few_rows(shop, 24)
    yield shop.run("preflight", data, recipe)
    yield _last_state(shop, data, recipe)


TRAINING_FAULTS = (
    Fault(
        "learning-rate-100-times",
        "learning rate 100 times too high",
        partial(short_run, learning_rate=0.05),
        "preflight",
        "preflight.learning-rate",
        "destroys what the base knows",
    ),
    Fault(
        "learning-rate-100-times-allowed",
        "the same, in a recipe that allows it",
        partial(short_run, learning_rate=0.05, gates={"preflight": {"learning_rate_fail": 1.0}}),
        "train",
        "training.improvement",
        "validation loss",
        warned_before="preflight.learning-rate",
        slow=True,
    ),
    Fault(
        "learning-rate-too-low",
        "learning rate 100,000 times too low",
        partial(short_run, learning_rate=5e-9),
        "train",
        "training.improvement",
        "validation loss",
        warned_before="preflight.learning-rate",
        slow=True,
    ),
    Fault(
        "overfitted",
        "24 rows learned by heart, the last state published",
        overfitted,
        "train",
        "training.overfitting",
        "rose while the training loss fell",
        also=("training.early-stopping", "training.low-loss"),
        warned_before="preflight.epochs",
        slow=True,
    ),
)
