"""Gates over the recipe's settings, as they come out for this many rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.gates.judging import Check
from pipeline.gates.verdict import Evidence, Gate, Verdict

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The linear layers of a Llama or Qwen block; adapters on all seven learn best (seed 001 §4)."""


def _measured(evidence: Evidence, part: str) -> dict[str, Any]:
    found: dict[str, Any] = evidence.json("preflight.json")[part]
    return found


def evaluations(evidence: Evidence) -> Sequence[Verdict]:
    """The run must hold enough evaluations for a curve and for early stopping."""
    least = evidence.recipe.gates.preflight.min_evaluations
    plan = _measured(evidence, "plan")
    check = Check("preflight.evaluations", "planned run", "evaluations", f">= {least}", "seed 001 §10, seed 002")
    return [
        check.judged(
            plan["evaluations"],
            fails=plan["evaluations"] < least,
            cause=f"{plan['steps']} steps with one evaluation every {plan['eval_every_steps']}",
            advice=f"set train.eval_every_steps to {max(1, plan['steps'] // least)} or less",
        )
    ]


def early_stopping(evidence: Evidence) -> Sequence[Verdict]:
    """Early stopping needs a validation split, a patience, and more evaluations than its patience."""
    limits, plan = evidence.recipe.gates.preflight, _measured(evidence, "plan")
    rows, patience = _measured(evidence, "rows")["validation"], plan["patience_evals"]
    usual = f"patience {limits.patience_warn_min}–{limits.patience_warn_max}, under the number of evaluations"
    check = Check(
        "preflight.early-stopping", "planned run", "evaluations of patience", usual, "seed 001 §5, §10, seed 002"
    )
    if not rows:
        return [
            check.failed(
                patience, "there is no validation row, so nothing can stop the run", "give split.validation a share"
            )
        ]
    if not patience:
        return [
            check.failed(
                patience, "train.patience_evals = 0 switches early stopping off", "set train.patience_evals to 4"
            )
        ]
    return [
        check.judged(
            patience,
            fails=patience >= plan["evaluations"],
            warns=not limits.patience_warn_min <= patience <= limits.patience_warn_max,
            cause=f"in {plan['evaluations']} evaluations a patience of {patience} acts late, on noise, or never",
            advice=f"set train.patience_evals between {limits.patience_warn_min} and {limits.patience_warn_max}",
        )
    ]


def epochs(evidence: Evidence) -> Sequence[Verdict]:
    """Many passes over few rows end in a model that recites them."""
    limits, count = evidence.recipe.gates.preflight, _measured(evidence, "plan")["epochs"]
    rows = _measured(evidence, "rows")["train"]
    limit = f"<= {limits.epochs_fail:g}; <= {limits.epochs_warn:g} under {limits.epochs_warn_under_rows} rows"
    check = Check(
        "preflight.epochs", f"{rows} training rows", "epochs", limit, "seeds 000 §7.2, 001 §5; 003 and 004 rejected"
    )
    return [
        check.judged(
            count,
            fails=count > limits.epochs_fail,
            warns=count > limits.epochs_warn and rows < limits.epochs_warn_under_rows,
            cause="the rows will be learned by heart: training loss falls, answers degenerate",
            advice="set train.epochs to 1 first, at most 2; more rows help more than more epochs",
        )
    ]


def lora_scale(evidence: Evidence) -> Sequence[Verdict]:
    """The factor on the adapter's update: with rsLoRA alpha/√rank, which is easily mistaken for alpha/rank."""
    limit, lora = evidence.recipe.gates.preflight.lora_scale_warn, _measured(evidence, "lora")
    formula = "alpha/√rank (rsLoRA)" if lora["rslora"] else "alpha/rank"
    check = Check("preflight.lora-scale", formula, "factor", f"<= {limit:g}", "seed 001 §4, facts.md, arXiv 2312.03732")
    return [
        check.judged(
            lora["scale"],
            fails=False,
            warns=lora["scale"] > limit,
            cause=f"alpha {lora['alpha']:g} at rank {lora['rank']} multiplies the update by {lora['scale']:.3g}",
            advice=f"train.lora.alpha = {lora['alpha_for_advised_scale']:g} keeps the scale at 2"
            + ("; so does rslora = false with alpha = 2 × rank" if lora["rslora"] else ""),
        )
    ]


def adapter_shape(evidence: Evidence) -> Sequence[Verdict]:
    """Rank, dropout and the layers that carry an adapter."""
    limits, lora = evidence.recipe.gates.preflight, _measured(evidence, "lora")
    missing = [name for name in PROJECTIONS if name not in lora["targets"]]
    span = f"{limits.rank_warn_min}–{limits.rank_warn_max}"
    return [
        Check("preflight.lora-rank", "adapter", "rank", span, "seed 001 §4").judged(
            lora["rank"],
            fails=False,
            warns=not limits.rank_warn_min <= lora["rank"] <= limits.rank_warn_max,
            cause="a small rank learns little, a large one learns rows by heart",
            advice=f"set train.lora.rank to a value in {span}",
        ),
        Check("preflight.lora-dropout", "adapter", "share", f"<= {limits.dropout_warn:g}", "seed 001 §4").judged(
            lora["dropout"],
            fails=False,
            warns=lora["dropout"] > limits.dropout_warn,
            cause="much of the adapter's input is thrown away in every step",
            advice="set train.lora.dropout to 0, or at most 0.1",
        ),
        Check("preflight.lora-targets", "adapter", "of 7 projections", "all seven", "seed 001 §4").judged(
            len(PROJECTIONS) - len(missing),
            fails=False,
            warns=bool(missing),
            cause=f"no adapter on {', '.join(missing)}",
            advice="name all seven in train.lora.targets; for an architecture with other names this is as it should be",
        ),
    ]


def schedule(evidence: Evidence) -> Sequence[Verdict]:
    """Learning rate, how it rises and how it falls."""
    limits, plan = evidence.recipe.gates.preflight, _measured(evidence, "plan")
    low, high, most = limits.learning_rate_warn_min, limits.learning_rate_warn_max, limits.learning_rate_fail
    first, last, share = limits.warmup_share_warn_min, limits.warmup_share_warn_max, plan["warmup_share"]
    return [
        Check(
            "preflight.learning-rate",
            "LoRA fine-tuning",
            "peak learning rate",
            f"{low:g}–{high:g}, fails over {most:g}",
            "seed 001 §6",
        ).judged(
            plan["learning_rate"],
            fails=plan["learning_rate"] > most,
            warns=not low <= plan["learning_rate"] <= high,
            cause="too high destroys what the base knows, too low learns nothing",
            advice="set train.learning_rate to 2e-4",
        ),
        Check("preflight.scheduler", "planned run", "", "cosine", "seed 001 §6").judged(
            plan["scheduler"],
            fails=False,
            warns=plan["scheduler"] != "cosine",
            cause="another schedule than the one with which the limits were found",
            advice='set train.scheduler = "cosine"',
        ),
        Check("preflight.warm-up", "planned run", "share of the steps", f"{first:g}–{last:g}", "seed 001 §6").judged(
            share,
            fails=False,
            warns=not first <= share <= last,
            cause=f"{plan['warmup_steps']} of {plan['steps']} steps",
            advice=f"set train.warmup_steps between {_up(first * plan['steps'])} and {int(last * plan['steps'])}",
        ),
    ]


def _up(value: float) -> int:
    return int(value) + (value > int(value))


plan_gates: tuple[Gate, ...] = (evaluations, early_stopping, epochs, lora_scale, adapter_shape, schedule)
