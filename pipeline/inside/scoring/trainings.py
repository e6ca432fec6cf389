"""How sure a difference is over several trainings that differ in nothing but their seed.

Two things vary: which prompts were drawn, and how the training happened to go. Prompts are resampled as for one
training, the same ones for every seed, so what is drawn is the mean over the seeds. Seeds are too few to be resampled:
three, drawn with replacement, cover a difference in 8 cases of 10 where 95 % are claimed (measured). So each resample
gets the spread between the seeds as Student's t, with one degree of freedom less than there are seeds, times the
standard error of their mean. That is the sum of two fiducial distributions (Behrens-Fisher), whose intervals are rather
too wide than too narrow.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from . import bootstrap, forms
from .forms import Form
from .measures import MEASURES

LEAST: Final = 3
"""Trainings from which on a verdict is about the recipe: issue 5, and with two Student's t is 12.7 wide."""
TOO_FEW: Final = "too few trainings"
ONE: Final = " (one training)"
"""Follows the words better and worse, unless three trainings say so."""
_NOT_SHOWN: Final = "no difference shown"
_LEAST_SPREAD: Final = 2
_ONE_SEED: Final = "one training has no spread: name further seeds (evaluate.training_seeds)"
_UNEQUAL: Final = "a resample of the prompts held none that was measured for every seed"


@dataclass(frozen=True)
class Pooled:
    """The mean of the seeds' differences, their standard deviation, and the interval of the mean."""

    mean: float
    spread: float
    low: float
    high: float


def of_one(found: dict[str, Any]) -> dict[str, Any]:
    """Return a difference whose verdict says that one training stands behind it: another might say otherwise."""
    words = found["verdict"]
    return {**found, "verdict": f"{words}{ONE}"} if words in ("better", "worse") else found


def compared(name: str, base: Form, tuned: Mapping[int, Form], references: Form) -> dict[str, Any]:
    """Return the differences from the base of each seed's model, and what they show together.

    `mean`, `spread` (standard deviation), `low`, `high`, `pairs` and `verdict` are None where `reason` says why.
    """
    each = {seed: of_one(forms.difference(name, base, form, references)) for seed, form in tuned.items()}
    differences = [{"seed": seed, **found} for seed, found in each.items()]
    told = [found["difference"] for found in each.values() if found["difference"] is not None]
    lacking = next((found["reason"] for found in each.values() if found["reason"]), None)
    if len(told) < len(each) or len(told) < _LEAST_SPREAD:
        return {"differences": differences, **_together(reason=lacking or _ONE_SEED)}
    if lacking is not None:
        return {"differences": differences, **_together(statistics.fmean(told), statistics.stdev(told), reason=lacking)}
    drawn = [forms.drawn_difference(name, base, form) for form in tuned.values()]
    if len({len(one) for one in drawn}) > 1:
        return {"differences": differences, **_together(reason=_UNEQUAL)}
    found, pairs = pooled(told, drawn), min(one["pairs"] for one in each.values())
    words = verdict(found, told, MEASURES[name].better, pairs, forms.unit_of(name))
    if words in ("better", "worse") and found.mean and _is_slight(name, base, found.mean):
        words = "no difference that matters"
    return {"differences": differences, **_together(found.mean, found.spread, found.low, found.high, pairs, words)}


def _is_slight(name: str, base: Form, mean: float) -> bool:
    before = base.values[name]
    return before is not None and forms.is_slight(name, before, before + mean)


def _together(
    mean: float | None = None,
    spread: float | None = None,
    low: float | None = None,
    high: float | None = None,
    pairs: int | None = None,
    verdict: str | None = None,
    reason: str | None = None,
) -> dict[str, Any]:
    found = {"mean": mean, "spread": spread, "low": low, "high": high}
    rounded = {key: None if value is None else round(value, forms.DIGITS) for key, value in found.items()}
    return {**rounded, "pairs": pairs, "verdict": verdict, "reason": reason}


def pooled(differences: Sequence[float], drawn: Sequence[bootstrap.Values]) -> Pooled:
    """Return what two or more trainings show together.

    `differences` are those of the seeds on all prompts, `drawn` the same in every resample, in the same order.
    """
    count = len(differences)
    spread = statistics.stdev(differences)
    means = sum(drawn[1:], start=drawn[0]) / count
    # Where few prompts were measured, a resample may hold none of them: there are fewer means than resamples.
    low, high = bootstrap.interval(means + spread / math.sqrt(count) * students(count - 1)[: len(means)])
    return Pooled(statistics.fmean(differences), spread, low, high)


def verdict(found: Pooled, differences: Sequence[float], better: bootstrap.Direction, pairs: int, unit: str) -> str:
    """Return what the trainings allow to say together.

    Better, worse or different only where the interval excludes zero and at least `LEAST` seeds lie on that side.
    """
    if len(differences) < LEAST:
        return TOO_FEW
    words = bootstrap.verdict(found.low, found.high, better, pairs, unit)
    agreeing = sum(one > 0 if found.low > 0 else one < 0 for one in differences)
    return _NOT_SHOWN if words in ("better", "worse", "different") and agreeing < LEAST else words


@functools.cache
def students(degrees: int) -> bootstrap.Values:
    """Return one quantile of Student's t for each resample, evenly spaced, in an order drawn from a fixed seed."""
    count = bootstrap.RESAMPLES
    half = [quantile((count + at + 1) / (2 * count), degrees) for at in range(0, count, 2)]
    whole = np.array([-one for one in reversed(half)] + half)
    order = np.random.Generator(np.random.PCG64(bootstrap.SEED + 1)).permutation(count)
    found: bootstrap.Values = whole[order]
    return found


def quantile(share: float, degrees: int) -> float:
    """Return where Student's t lies below with this probability, one half or more."""
    low, high = 0.0, 1.0
    while cumulative(high, degrees) < share:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if cumulative(middle, degrees) < share else (low, middle)
    return (low + high) / 2


def cumulative(value: float, degrees: int) -> float:
    """Return the probability that Student's t is at most `value` (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan(value / math.sqrt(degrees))
    square = math.cos(angle) ** 2
    first = math.sin(angle) * (math.cos(angle) if degrees % 2 else 1.0)
    terms, term = 0.0, first
    for at in range(2 + degrees % 2, degrees + 1, 2):
        terms += term
        term *= square * (at - 1) / at
    between = 2 / math.pi * (angle + terms) if degrees % 2 else terms
    return (1 + between) / 2
