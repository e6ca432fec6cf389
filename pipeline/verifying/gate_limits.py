"""A verdict made anew from its value and its limit, where the limit is a comparison.

Limits are written for people: `at most 0.5`, `warns over 0.07, fails over 0.12`, `>= 10`, `0.0001–0.0005, fails over
0.01`, `0 missing`. Each part that is a comparison without a condition is made again; others are words (`cosine`, `all
seven`, `at least 0 where the validation loss rises`), and how many could not be made again is told.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.verifying.papers import failed

_LONGEST = 500
"""Most characters of a limit. The seedling's longest has 68."""
_NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_SPLIT = re.compile(r"; |, (?!and )|: ")
_COMPARED = re.compile(
    rf"(?:(?P<verb>warns?|fails?) )?(?P<sign>over|under|at least|at most|>=|<=|exactly|=) "
    rf"(?P<limit>{_NUMBER})(?P<percent>%?)(?P<rest>(?: .*|, and .*)?)"
)
_BETWEEN = re.compile(rf"(?P<low>{_NUMBER})–(?P<high>{_NUMBER})")
_EQUAL = re.compile(rf"(?P<limit>{_NUMBER})(?P<rest>(?: .*|, and .*)?)")
_CONDITION = re.compile(r"\b(?:where|without|beside|unless|if|warns?|fails?|outside|(?:under|over) [\d.])")
"""What makes a comparison hold only for some: it is words then."""

_KEPT: dict[str, Callable[[float, float], bool]] = {
    "over": lambda value, limit: value > limit,
    "under": lambda value, limit: value < limit,
    "at least": lambda value, limit: value >= limit,
    ">=": lambda value, limit: value >= limit,
    "at most": lambda value, limit: value <= limit,
    "<=": lambda value, limit: value <= limit,
    "exactly": lambda value, limit: value == limit,
    "=": lambda value, limit: value == limit,
}


@dataclass(frozen=True)
class Part:
    """One comparison of a limit: what a value must do to pass, and what breaking it means, if that is said."""

    verb: Literal["", "warn", "fail"]
    kept: Callable[[float], bool]


def parts_of(limit: str) -> list[Part]:
    """Return the comparisons of a limit, in order; what is words is left out.

    Raises ReleaseError for a limit that is longer than any that a gate writes, or names a number that is not finite.
    """
    if len(limit) > _LONGEST:
        raise failed(f"a limit of a gate has more than {_LONGEST} characters", "gate results")
    return list(_parts(limit))


def recomputed(outcome: str, value: Any, limit: str) -> bool | None:
    """Tell whether an outcome is possible for a value: False when a comparison says otherwise, None for words only."""
    number = _number(value)
    if number is None:
        return None
    parts = parts_of(limit)
    if outcome == "warned":
        warns = any(part.verb == "warn" for part in parts)
        parts = [part for part in parts if part.verb == "fail" or (part.verb == "" and warns)]
    if parts and isinstance(number, float) and not math.isfinite(number):
        return False
    return all(part.kept(number) for part in parts) if parts else None


def _number(value: Any) -> float | int | None:
    """Return a value as a number, also one that is written as text; None for words and truth values."""
    if type(value) is str:
        try:
            return float(value.strip().removesuffix("%")) / (100 if value.strip().endswith("%") else 1)
        except ValueError:
            return None
    return value if type(value) in (int, float) else None


def _parts(limit: str) -> Iterator[Part]:
    for words in _SPLIT.split(limit):
        if (found := _COMPARED.fullmatch(words)) and not _CONDITION.search(found["rest"]):
            number = _figure(found["limit"]) / (100 if found["percent"] else 1)
            yield Part(_verb(found["verb"]), _kept(found["sign"], number, broken=bool(found["verb"])))
        elif found := _BETWEEN.fullmatch(words):
            low, high = _figure(found["low"]), _figure(found["high"])
            yield Part("", lambda value, low=low, high=high: low <= value <= high)  # type: ignore[misc]
        elif (
            (found := _EQUAL.fullmatch(words))
            and not _CONDITION.search(found["rest"])
            and not re.search(r"\d", found["rest"])
        ):
            yield Part("", _kept("=", _figure(found["limit"]), broken=False))


def _kept(sign: str, limit: float, *, broken: bool) -> Callable[[float], bool]:
    """Return what a value must do; `broken`: the comparison says when it is broken."""
    compare = _KEPT[sign]
    return lambda value: compare(value, limit) is not broken


def _verb(word: str | None) -> Literal["", "warn", "fail"]:
    if not word:
        return ""
    return "warn" if word.startswith("warn") else "fail"


def _figure(text: str) -> float:
    if len(text) > 40:  # noqa: PLR2004 - no limit has so many digits
        raise failed("a limit of a gate has too many digits", "gate results")
    number = float(text)
    if not math.isfinite(number):
        raise failed(f"a limit of a gate is no finite number: {text}", "gate results")
    return number
