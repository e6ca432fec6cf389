"""What the recipe's table `[train]` means for this many rows: steps, evaluations, the adapter's real scale."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

ADVISED_SCALE = 2.0
"""Scale of the update that plain LoRA's "alpha = 2r" means; rsLoRA reaches it with alpha = 2·√r (facts.md)."""


def training_plan(train: Mapping[str, Any], rows: Mapping[str, int]) -> dict[str, Any]:
    """Return the planned run: optimizer steps, evaluations within it, and the settings that gates judge.

    `rows` counts the rows of each split. The trainer rounds up twice (batches, then accumulated steps) and
    evaluates at every whole multiple of `eval_every_steps`.
    """
    batches = math.ceil(rows["train"] / train["batch_size"])
    steps_per_epoch = math.ceil(batches / train["accumulation"])
    steps = math.ceil(train["epochs"] * steps_per_epoch)
    return {
        "epochs": train["epochs"],
        "rows_per_step": train["batch_size"] * train["accumulation"],
        "steps_per_epoch": steps_per_epoch,
        "steps": steps,
        "eval_every_steps": train["eval_every_steps"],
        "evaluations": steps // train["eval_every_steps"],
        "patience_evals": train["patience_evals"],
        "learning_rate": train["learning_rate"],
        "scheduler": train["scheduler"],
        "warmup_steps": train["warmup_steps"],
        "warmup_share": round(train["warmup_steps"] / steps, 6) if steps else None,
        "max_seq_tokens": train["max_seq_tokens"],
    }


def adapter_plan(lora: Mapping[str, Any]) -> dict[str, Any]:
    """Return the adapter's settings with the factor that really multiplies its update.

    `scale` is alpha/rank, or alpha/√rank with rsLoRA; `alpha_for_advised_scale` is what gives `ADVISED_SCALE`.
    """
    divisor = math.sqrt(lora["rank"]) if lora["rslora"] else float(lora["rank"])
    return {
        "rank": lora["rank"],
        "alpha": lora["alpha"],
        "rslora": lora["rslora"],
        "scale": round(lora["alpha"] / divisor, 6),
        "alpha_for_advised_scale": round(ADVISED_SCALE * divisor, 3),
        "dropout": lora["dropout"],
        "targets": sorted(lora["targets"]),
    }
