"""Did training go well? Gates over `history.json` of stage train.

What counts is the state that is published. A run whose validation loss rises and whose best checkpoint was restored
has overfitted, and the adapter in the artifact has not: that is a warning (fewer epochs would give the same adapter).
The same curve without the restored checkpoint fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pipeline.gates.curves import Curve, loss_near, read_curve, windows_of
from pipeline.gates.judging import Check, finite, read_mapping
from pipeline.gates.verdict import Evidence, Gate, Verdict

_HISTORY = "history.json is missing or is not a JSON object"


class TrainingLimits(BaseModel):
    """Limits of the training gates, table `[gates.training]`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    min_evaluations: int = Field(
        10,
        ge=1,
        description="Evaluations that a full run must hold. Source: seed 001 §10; fewer points cannot show a trend.",
    )
    validation_rise: float = Field(
        0.038,
        gt=0,
        description="Relative rise of the validation loss at the end over its smoothed minimum that counts as"
        " overfitting. Source: facts.md, F1 0.983 on the 40 curves of arXiv 2401.10359.",
    )
    rise_over_noise: float = Field(
        2.0,
        ge=0,
        description="A rise counts only over this many standard errors of the curve's own noise. Source: simulated:"
        " 10 points, 2 % noise: 1 % false alarms, a rise of 10 % found in over 90 % (1.5 % without this guard; at"
        " 5 % noise 27 %).",
    )
    rank_correlation: float = Field(
        0.0,
        ge=-1,
        le=1,
        description="Spearman correlation of training and validation loss under which the run overfits, where the"
        " validation loss rises beyond its noise. Source: arXiv 2401.10359; facts.md, F1 0.909. Alone it is wrong in"
        " 10 to 25 % of healthy simulated runs of 10 points.",
    )
    loss_gap_warn: float = Field(
        2.0,
        gt=1,
        description="Validation loss over training loss around the best step. Source: recipe value; seed 001 §5 names"
        " the sign, no number is published.",
    )
    low_loss_fail: float = Field(
        0.3,
        ge=0,
        description="Training loss (mean of the last window) under which a run without validation gain has learned its"
        " rows by heart. Source: seed 001 §5; seed 000 §3.3 ended at 0.254.",
    )
    low_loss_warn: float = Field(0.5, ge=0, description="The same, as a sign to look. Source: seed 000 §7.2.")
    loss_fall_warn: float = Field(
        0.9, gt=0, le=1, description="Relative fall of the training loss. Source: seed 000 §3.3: 91 % in the bad run."
    )
    sudden_fall_warn: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Relative fall between two neighbouring windows after the first tenth of the run. Source: seed 000"
        " §7.2 names the sign; the number is a recipe value.",
    )
    validation_gain_fail: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="Least relative gain of the best validation loss over the untrained one: the fine-tune must help."
        " Source: recipe value, over the 3.8 % that count as a change.",
    )
    held_out_gain_fail: float = Field(
        0.01,
        ge=0,
        lt=1,
        description="Least relative gain of the tuned form's mean loss over the base's on the parity text (held-out"
        " conversations, prompts included, which dilute it). Source: recipe value.",
    )
    answer_wins: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="Share of unseen prompts on which the tuned answer beats the base's: fails at or under it, warns"
        " when only the interval reaches under it. Source: a coin's share (sign test).",
    )
    same_answers_fail: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of unseen prompts answered word for word as by the base: over it the adapter does not act."
        " Source: recipe value.",
    )


def non_finite(evidence: Evidence) -> Sequence[Verdict]:
    """Fail on any loss or gradient norm that is not a finite number."""
    check = Check("training.non-finite", "losses and gradients", "not finite", "0", "gates.md, training: NaN or Inf")
    history = read_mapping(evidence.folder, "history.json")
    if history is None:
        return (check.not_measured(_HISTORY),)
    steps, evaluations = history.get("train") or [], history.get("evaluations") or []
    numbers = [(row, key, row.get(key)) for row, key in _numbers(steps, evaluations)]
    bad = [f"step {row.get('step')}: {key} is {value}" for row, key, value in numbers if not finite(value)]
    if not steps or not evaluations:
        return (check.not_measured("history.json lists no training step or no evaluation"),)
    return (
        check.judged(
            len(bad),
            fails=bool(bad),
            cause="a loss or gradient overflowed: learning rate or LoRA scale too high, a broken row or base model",
            advice="lower train.learning_rate or train.lora.alpha, add warm-up steps, look at the rows of that step",
            evidence=bad,
        ),
    )


def _numbers(steps: Sequence[Mapping[str, Any]], evaluations: Sequence[Mapping[str, Any]]) -> Any:
    yield from ((row, key) for row in steps for key in ("loss", "grad_norm"))
    yield from ((row, "loss") for row in evaluations)


def early_stopping(evidence: Evidence) -> Sequence[Verdict]:
    """Fail unless early stopping was armed, acted when its patience ran out, and the best checkpoint is published."""
    check = Check(
        "training.early-stopping",
        "the run",
        "state",
        "armed, acts, best checkpoint restored",
        "seed 001 §5; facts.md: a missing metric silently disables EarlyStoppingCallback",
    )
    history = read_mapping(evidence.folder, "history.json")
    if history is None:
        return (check.not_measured(_HISTORY),)
    problems = _stopping_problems(history, evidence.recipe.train.patience_evals)
    state = "stopped early" if history.get("stopped_early") else "ran to its end"
    return (
        check.judged(
            "; ".join(problems) or f"{state}, best checkpoint of step {history.get('best_step')} restored",
            fails=bool(problems),
            cause="early stopping was switched off, had no metric, or kept no best checkpoint",
            advice="set train.patience_evals to 3–5, keep a validation split, and keep the best checkpoint",
        ),
    )


def _stopping_problems(history: Mapping[str, Any], patience: int) -> list[str]:
    problems = []
    if history.get("early_stopping_armed") is not True:
        problems.append("not armed")
    if history.get("best_restored") is not True:
        problems.append("best checkpoint not restored")
    curve = read_curve(history)
    if curve is not None and history.get("best_step") not in (0, None, *curve.best_steps):
        problems.append(f"step {history['best_step']} was kept as best, {curve.best_steps[0]} is")
    waited = curve.evaluations_since_best if curve is not None else 0
    if patience and waited > patience + 1:  # the trainer may count from its first evaluation
        problems.append(f"went on for {waited} evaluations without gain, patience is {patience}")
    ran, planned = history.get("steps"), history.get("planned_steps")
    if not history.get("stopped_early") and finite(ran) and finite(planned) and ran < planned:
        problems.append(f"ended at step {ran} of {planned} without a reason")
    return problems


def evaluations(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when a run that was not stopped early was evaluated too seldom for early stopping to act."""
    limits = evidence.recipe.gates.training
    check = Check(
        "training.evaluations", "the run", "evaluations", f"at least {limits.min_evaluations}", "seed 001 §10, seed 002"
    )
    history = read_mapping(evidence.folder, "history.json")
    if history is None:
        return (check.not_measured(_HISTORY),)
    count = len(history.get("evaluations") or [])
    planned = _planned_evaluations(history, count)
    return (
        check.judged(
            planned,
            fails=planned < limits.min_evaluations,
            cause=f"a run of {history.get('planned_steps')} steps was to be evaluated {planned} times",
            advice="lower train.eval_every_steps so that a full run holds at least ten evaluations",
            evidence=(f"{count} evaluations made",),
        ),
    )


def _planned_evaluations(history: Mapping[str, Any], count: int) -> int:
    """Return how many evaluations the full run would hold, from the spacing of those that were made."""
    steps, planned = history.get("steps"), history.get("planned_steps")
    if not history.get("stopped_early") or not count or not finite(steps) or not finite(planned) or not steps:
        return count
    return max(count, int(planned * count / steps))


def overfitting(evidence: Evidence) -> Sequence[Verdict]:
    """Judge the validation curve: its rise at the end, and its rank correlation with the training loss.

    Fails when the published state is the overfitted one, warns when the best checkpoint was restored.
    """
    limits = evidence.recipe.gates.training
    rise = Check(
        "training.overfitting",
        "rise of the validation loss at the end",
        "share of its minimum",
        f"at most {limits.validation_rise:g}",
        "arXiv 2401.10359; facts.md: F1 0.983 on its 40 curves",
    )
    correlation = Check(
        "training.overfitting",
        "rank correlation of training and validation loss",
        "Spearman",
        f"at least {limits.rank_correlation:g} where the validation loss rises",
        "arXiv 2401.10359; facts.md: F1 0.909 on its 40 curves",
    )
    history = read_mapping(evidence.folder, "history.json")
    curve = read_curve(history) if history is not None else None
    if history is None or curve is None:
        reason = _HISTORY if history is None else "fewer than five evaluations, or one that is not a number"
        return (rise.not_measured(reason), correlation.not_measured(reason))
    restored = history.get("best_restored") is True
    return (_rise(rise, curve, limits, restored=restored), _correlation(correlation, curve, limits, restored=restored))


def _rise(check: Check, curve: Curve, limits: TrainingLimits, *, restored: bool) -> Verdict:
    over = curve.rise > max(limits.validation_rise, limits.rise_over_noise * curve.noise)
    return check.judged(
        curve.rise,
        fails=over and not restored,
        warns=over and restored,
        cause=_overfitted(curve, restored=restored),
        advice="train fewer epochs, lower the learning rate or the LoRA scale, or give more and more varied rows",
        evidence=(f"noise of the curve: {curve.noise:.4f} of its minimum", f"{len(curve.losses)} evaluations"),
    )


def _correlation(check: Check, curve: Curve, limits: TrainingLimits, *, restored: bool) -> Verdict:
    if curve.correlation is None:
        return check.not_measured("no training loss between the evaluations, or a constant one")
    # On a flat curve the sign of a rank correlation is chance: it counts from two thirds of the limit on. Simulated, 10
    # flat points with 1 % noise: 1 % false alarms, 10 % from a quarter of the limit on.
    rises = curve.rise > max(limits.rise_over_noise * curve.noise, limits.validation_rise * 2 / 3)
    against = curve.correlation < limits.rank_correlation and rises
    return check.judged(
        curve.correlation,
        fails=against and not restored,
        warns=against and restored,
        cause=_overfitted(curve, restored=restored),
        advice="train fewer epochs, or give more and more varied rows",
        evidence=(f"rise at the end: {curve.rise:.4f}",),
    )


def _overfitted(curve: Curve, *, restored: bool) -> str:
    past = f"the validation loss was best at step {curve.best_steps[0]} and rose while the training loss fell"
    contained = "; the published adapter is the one of that step" if restored else "; the last state was published"
    return past + contained


def loss_gap(evidence: Evidence) -> Sequence[Verdict]:
    """Warn when the validation loss is far over the training loss at the published step."""
    limits = evidence.recipe.gates.training
    check = Check(
        "training.loss-gap",
        "the best step",
        "validation loss / training loss",
        f"at most {limits.loss_gap_warn:g}",
        "recipe value; seed 001 §5",
    )
    history = read_mapping(evidence.folder, "history.json")
    if history is None:
        return (check.not_measured(_HISTORY),)
    best, near = history.get("best_validation_loss"), loss_near(history, history.get("best_step"))
    if not finite(best) or near is None or near <= 0:
        return (check.not_measured("no best validation loss, or no training loss around its step"),)
    gap = float(best) / near
    cause = f"around the best step the training loss is {near:.3f}, the validation loss {best:.3f}"
    advice = "look for near duplicates within train, and for a validation split of another kind"
    return (check.judged(gap, fails=False, warns=gap > limits.loss_gap_warn, cause=cause, advice=advice),)


def memorization(evidence: Evidence) -> Sequence[Verdict]:
    """Judge the training loss itself: too low, fallen too far, fallen suddenly."""
    limits = evidence.recipe.gates.training
    low = Check(
        "training.low-loss",
        "mean of the last window",
        "loss",
        f"under {limits.low_loss_fail:g} without validation gain fails, under {limits.low_loss_warn:g} warns",
        "seed 000 §3.3 and §7.2, seed 001 §5",
    )
    fall = Check(
        "training.loss-fall", "first to last window", "share", f"at most {limits.loss_fall_warn:g}", "seed 000 §3.3"
    )
    sudden = Check(
        "training.sudden-fall",
        "neighbouring windows",
        "share",
        f"at most {limits.sudden_fall_warn:g}",
        "seed 000 §7.2; the number is a recipe value",
    )
    history = read_mapping(evidence.folder, "history.json")
    windows = windows_of(history) if history is not None else None
    if history is None or windows is None:
        reason = _HISTORY if history is None else "fewer than ten training steps, or a loss that is not a number"
        return tuple(check.not_measured(reason) for check in (low, fall, sudden))
    return (
        _low_loss(low, windows[-1], _gain(history), limits),
        _loss_fall(fall, windows, limits),
        _sudden_fall(sudden, windows, limits),
    )


def _low_loss(check: Check, last: float, gain: float | None, limits: TrainingLimits) -> Verdict:
    helped = gain is not None and gain >= limits.validation_gain_fail
    return check.judged(
        last,
        fails=last < limits.low_loss_fail and not helped,
        warns=last < limits.low_loss_warn,
        cause="a training loss this low means rows learned by heart, unless the task is very regular",
        advice="compare with the validation loss, look at training.overfitting and generation.copies; fewer epochs",
    )


def _loss_fall(check: Check, windows: Sequence[float], limits: TrainingLimits) -> Verdict:
    fall = 1 - windows[-1] / windows[0] if windows[0] > 0 else 0.0
    cause = f"the training loss fell from {windows[0]:.3f} to {windows[-1]:.3f}"
    advice = "check that validation loss fell with it; fewer epochs or more rows"
    return check.judged(fall, fails=False, warns=fall > limits.loss_fall_warn, cause=cause, advice=advice)


def _sudden_fall(check: Check, windows: Sequence[float], limits: TrainingLimits) -> Verdict:
    """Leave out the first tenth of the windows, two at least: every healthy run starts with a steep fall."""
    start = max(2, len(windows) // 10)
    pairs = [(a, b) for a, b in zip(windows[start:], windows[start + 1 :], strict=False) if a > 0]
    worst = max((1 - b / a for a, b in pairs), default=0.0)
    cause = "the training loss fell at once in the middle of the run, as when a second epoch meets rows known by heart"
    advice = "look for duplicates, and at the step where an epoch begins"
    return check.judged(worst, fails=False, warns=worst > limits.sudden_fall_warn, cause=cause, advice=advice)


def _gain(history: Mapping[str, Any]) -> float | None:
    """Return the relative gain of the best validation loss over the initial one; None when not both are known."""
    initial, best = history.get("initial_validation_loss"), history.get("best_validation_loss")
    if not finite(initial) or not finite(best) or float(initial) <= 0:
        return None
    return 1 - float(best) / float(initial)


def improvement(evidence: Evidence) -> Sequence[Verdict]:
    """Fail unless training lowered the validation loss of the untouched base by the recipe's least gain."""
    limits = evidence.recipe.gates.training
    check = Check(
        "training.improvement",
        "best validation loss against the untrained one",
        "relative gain",
        f"at least {limits.validation_gain_fail:g}",
        "recipe value, over the 3.8 % that count as a change",
    )
    history = read_mapping(evidence.folder, "history.json")
    gain = _gain(history) if history is not None else None
    if history is None or gain is None:
        reason = _HISTORY if history is None else "the initial or the best validation loss is not known"
        return (check.not_measured(reason),)
    best, initial = history["best_validation_loss"], history["initial_validation_loss"]
    return (
        check.judged(
            gain,
            fails=gain < limits.validation_gain_fail,
            cause=f"validation loss {initial:.4f} before training, {best:.4f} at best",
            advice="raise the learning rate or the steps, check that labels cover the answers (preflight), or the base"
            " knows this task already",
            evidence=(f"{initial:.4f} → {best:.4f}",),
        ),
    )


def trainable(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when nothing was trainable; otherwise state the share."""
    check = Check("training.trainable", "parameters", "share trained", "over 0", "design.md")
    history = read_mapping(evidence.folder, "history.json")
    if history is None:
        return (check.not_measured(_HISTORY),)
    trained, total = history.get("trainable_parameters"), history.get("all_parameters")
    if not finite(trained) or not finite(total) or not total:
        return (check.not_measured("history.json does not count parameters"),)
    share = float(trained / total)
    advice = "check train.lora.targets against the names of the base model's projections"
    cause, counts = "no parameter is trained", (f"{trained:,} of {total:,}",)
    return (check.judged(share, fails=trained <= 0, cause=cause, advice=advice, evidence=counts),)


def deterministic(evidence: Evidence) -> Sequence[Verdict]:
    """Warn when two trainings of this kind may differ. Program `train` stops at a kernel without a fixed order."""
    check = Check("training.deterministic", "the kernels", "mode", "a fixed order in all of them", "design.md, bytes")
    history = read_mapping(evidence.folder, "history.json")
    if history is None:
        return (check.not_measured(_HISTORY),)
    found = history.get("determinism", {"mode": "strict"})
    mode = str(found.get("mode"))
    unordered, unknown = found.get("not_deterministic") or [], found.get("not_checked") or []
    told = [f"not deterministic: {one}" for one in unordered] + [f"not checked by torch: {one}" for one in unknown]
    return (
        check.judged(
            mode,
            fails=False,
            warns=mode == "off" or bool(unordered),
            cause="train.deterministic is false" if mode == "off" else "kernels without a fixed order were used",
            advice="set train.repeat = true once: the training runs again, and tensors that differ are listed",
            evidence=told,
        ),
    )


training_gates: tuple[Gate, ...] = (
    non_finite,
    early_stopping,
    evaluations,
    overfitting,
    loss_gap,
    memorization,
    improvement,
    trainable,
    deterministic,
)
