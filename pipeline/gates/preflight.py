"""Can this recipe, tokenizer and template give a good model at all? Gates over `preflight.json`, before any training.

The limits stand here; the gates are in `preflight_plan.py` (the recipe's settings) and `preflight_text.py`
(tokenizer, template, labels, converter) and `same_base.py` (a 4-bit copy of the base).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from pipeline.gates.preflight_plan import plan_gates
from pipeline.gates.preflight_text import text_gates
from pipeline.gates.verdict import Gate


class PreflightLimits(BaseModel):
    """Limits of the gates before training, table `[gates.preflight]`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    min_evaluations: int = Field(
        10, ge=1, description="Evaluations that the planned run must hold. Source: seed 001 §10, seed 002."
    )
    patience_warn_min: int = Field(
        3,
        ge=1,
        description="Patience in evaluations under which one noisy point stops a run. Source: seed 001 §5, facts.md.",
    )
    patience_warn_max: int = Field(
        5,
        ge=1,
        description="Patience in evaluations over which early stopping comes late. Source: seed 001 §5, facts.md.",
    )
    epochs_fail: float = Field(
        3.0,
        gt=0,
        description="Epochs over which the recipe is refused. Source: seeds 000 §7.2, 001 §5 (003 and 004: rejected).",
    )
    epochs_warn: float = Field(
        2.0, gt=0, description="Epochs over which few rows are learned by heart. Source: seeds 000 §7.2, 001 §5."
    )
    epochs_warn_under_rows: int = Field(
        1000, ge=1, description="Training rows under which `epochs_warn` counts. Source: seed 000 §7.1, seed 001 §2."
    )
    lora_scale_warn: float = Field(
        4.0, gt=0, description="alpha/rank, or alpha/√rank with rsLoRA, over which to warn. Source: facts.md, rsLoRA."
    )
    rank_warn_min: int = Field(16, ge=1, description="Smallest usual rank. Source: seed 001 §4.")
    rank_warn_max: int = Field(64, ge=1, description="Largest usual rank. Source: seed 001 §4.")
    dropout_warn: float = Field(0.1, ge=0, le=1, description="Largest usual dropout. Source: seed 001 §4.")
    learning_rate_warn_min: float = Field(
        1e-4, gt=0, description="Smallest usual learning rate of LoRA fine-tuning. Source: seed 001 §6."
    )
    learning_rate_warn_max: float = Field(
        5e-4, gt=0, description="Largest usual learning rate of LoRA fine-tuning. Source: seed 001 §6."
    )
    learning_rate_fail: float = Field(
        1e-2,
        gt=0,
        description="Learning rate over which nothing is trained. Source: recipe value, 20 times the largest usual one;"
        " planted at 100 times, it spoils the seedling in its first steps.",
    )
    warmup_share_warn_min: float = Field(
        0.03, ge=0, le=1, description="Smallest usual share of the steps for warm-up. Source: seed 001 §6."
    )
    warmup_share_warn_max: float = Field(
        0.1, ge=0, le=1, description="Largest usual share of the steps for warm-up. Source: seed 001 §6."
    )
    prompts_warn: int = Field(
        64,
        ge=1,
        description="Prompts under which rates say little. Source: gates.md; 0 of 64 still allows 5.7 % (Wilson).",
    )
    parity_tokens_warn_share: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of the parity text asked for that the held-out rows must give. Source: recipe value.",
    )
    four_bit_error_warn: float = Field(
        0.15,
        gt=0,
        description="Largest relative distance of a 4-bit weight from the 16-bit one. Source: NF4's own error in blocks"
        " of 64 is 0.092 for normally distributed weights, 0.12 for heavy tails (measured).",
    )
    four_bit_error_fail: float = Field(
        0.3, gt=0, description="The same, fails. Source: two models with nothing in common have √2 (measured: 1.415)."
    )
    four_bit_codes_warn: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of a weight's 4-bit codes that the 16-bit weight would not get. Source: 0 for a copy of the"
        " stored weights, 0.004 for one made before they were rounded to bfloat16 (measured).",
    )
    four_bit_codes_fail: float = Field(
        0.05,
        ge=0,
        le=1,
        description="The same, fails. Source: 0.031 for every 1 % by which two models differ, 0.93 for two with nothing"
        " in common (measured).",
    )


preflight_gates: tuple[Gate, ...] = (*plan_gates, *text_gates)
"""What stage `preflight` must pass before anything is trained."""
