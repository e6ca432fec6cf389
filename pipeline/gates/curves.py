"""Loss curves of `history.json`, in the form that the training gates judge."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pipeline.gates import statistics
from pipeline.gates.judging import finite

_MIN_EVALUATIONS = 5
_MIN_STEPS = 10
_LONG_CURVE = 30
_WINDOWS = 20


@dataclass(frozen=True)
class Curve:
    """The validation losses of a run, one per evaluation, without the one before training.

    `rise` is the end of the curve over its smoothed minimum, relative to it; `noise` is the standard error of such a
    difference on this curve, relative too. `correlation` is Spearman's, with the mean training loss since the
    evaluation before; None where it is not defined.
    """

    losses: tuple[float, ...]
    best_steps: tuple[int, ...]
    rise: float
    noise: float
    correlation: float | None
    evaluations_since_best: int


def read_curve(history: Mapping[str, Any]) -> Curve | None:
    """Return the validation curve; None with fewer than five evaluations or one that is no number over 0."""
    rows = history.get("evaluations") or []
    losses = [row.get("loss") for row in rows]
    if len(losses) < _MIN_EVALUATIONS or not all(finite(loss) and loss > 0 for loss in losses):
        return None
    rise, noise = _rise(losses)
    best = min(losses)
    return Curve(
        losses=tuple(losses),
        best_steps=tuple(row["step"] for row in rows if row["loss"] == best),
        rise=rise,
        noise=noise,
        correlation=_correlation(history, rows),
        evaluations_since_best=len(losses) - 1 - losses.index(best),  # the trainer counts from its first one too
    )


def _rise(losses: Sequence[float]) -> tuple[float, float]:
    """Smooth over 3 evaluations (5 from 30 on); the end is the mean of the last fifth, two evaluations at least."""
    width = 3 if len(losses) < _LONG_CURVE else 5
    lowest = min(statistics.moving_average(losses, width)[:-1])
    last = losses[-max(2, len(losses) // 5) :]
    error = statistics.noise(losses) * math.sqrt(1 / len(last) + 1 / width)
    return sum(last) / len(last) / lowest - 1, error / lowest


def _correlation(history: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> float | None:
    trained, validated, before = [], [], 0
    for row in rows:
        since = [step["loss"] for step in history.get("train") or [] if before < step["step"] <= row["step"]]
        before = row["step"]
        if since and all(finite(loss) for loss in since):
            trained.append(sum(since) / len(since))
            validated.append(row["loss"])
    return statistics.rank_correlation(trained, validated)


def windows_of(history: Mapping[str, Any]) -> list[float] | None:
    """Return the training loss as means of up to 20 equal windows, in order.

    None with fewer than ten steps or a loss that is not a number. A run's mean loss says little: it mixes the start
    with the end (seed 004 reports 1.739 where the last loss is 1.0562).
    """
    losses = [row.get("loss") for row in history.get("train") or []]
    if len(losses) < _MIN_STEPS or not all(finite(loss) for loss in losses):
        return None
    count = min(_WINDOWS, len(losses) // 5)
    edges = [round(at * len(losses) / count) for at in range(count + 1)]
    return [sum(losses[a:b]) / (b - a) for a, b in pairwise(edges)]


def loss_near(history: Mapping[str, Any], step: Any) -> float | None:
    """Return the mean training loss of the ten logged steps up to `step`; None where there is none."""
    if not finite(step):
        return None
    losses = [row.get("loss") for row in history.get("train") or [] if row.get("step", 0) <= step][-10:]
    return sum(losses) / len(losses) if losses and all(finite(loss) for loss in losses) else None
