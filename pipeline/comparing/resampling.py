"""The paired bootstrap of `inside/scoring/bootstrap.py` once more, in whole numbers of plain Python: no numpy here.

The same resamples, so the same intervals to the last published digit; a test holds the two against each other.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

RESAMPLES, LEVEL, LEAST_PAIRS, SCALE, DIGITS = 2000, 0.95, 30, 10**9, 6
"""As there. `DIGITS` are the decimals of a published figure."""

_STATE = 35399562948360463058890781895381311971
_INCREMENT = 87136372517582989555478159403783844777
"""Where numpy's `PCG64(0)` starts (`PCG64(0).state`): the seed 0 of the intervals."""
_MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645
_ALL_128, _ALL_64, _ALL_32 = (1 << 128) - 1, (1 << 64) - 1, (1 << 32) - 1
_FIELD_BYTES = 8

Pair = tuple[float, float] | None
"""The scores of one prompt's two answers; None where either was not measured."""


@dataclass(frozen=True)
class Interval:
    """The mean difference second - first over `pairs` prompts or windows, and the bounds of its bootstrap interval."""

    difference: float
    low: float
    high: float
    pairs: int


def _words() -> Iterator[int]:
    """Give the generator's 32-bit numbers: PCG XSL RR 128/64 (O'Neill 2014), the low half of each output first."""
    state = _STATE
    while True:
        state = (state * _MULTIPLIER + _INCREMENT) & _ALL_128
        mixed, turn = ((state >> 64) ^ state) & _ALL_64, state >> 122
        output = (mixed >> turn | mixed << (64 - turn)) & _ALL_64
        yield output & _ALL_32
        yield output >> 32


def _draws(below: int, count: int) -> list[int]:
    """Return numbers under `below` (at most 2**32), by Lemire's way (2019), as `Generator.integers` draws them."""
    words = _words()
    refused = (1 << 32) % below
    found: list[int] = []
    while len(found) < count:
        product = next(words) * below
        if product & _ALL_32 >= refused:
            found.append(product >> 32)
    return found


@functools.lru_cache(maxsize=4)
def resamples(prompts: int) -> list[list[int]]:
    """Return how often each prompt was drawn in each resample, [resamples][prompts]."""
    # numpy draws nothing where there is one prompt only
    drawn = _draws(prompts, RESAMPLES * prompts) if prompts > 1 else [0] * RESAMPLES
    found = []
    for start in range(0, len(drawn), prompts):
        times = [0] * prompts
        for at in drawn[start : start + prompts]:
            times[at] += 1
        found.append(times)
    return found


def intervals(measures: Mapping[str, Sequence[Pair]]) -> dict[str, Interval | None]:
    """Return the interval of each measure's mean difference, all over the same prompts; None without a measured pair.

    Every measure has three whole numbers for a prompt: its two scores in billionths, and whether they were measured.
    All of them stand side by side in one long integer, so a resample is one sum of products. Each has 64 bits: the
    scores of all prompts together stay under 9 billion.
    """
    prompts = len(next(iter(measures.values()), ()))
    if not prompts:
        return dict.fromkeys(measures)
    lowest = [_lowest(pairs) for pairs in measures.values()]
    packed = [_packed(at, list(measures.values()), lowest) for at in range(prompts)]  # one integer for each prompt
    drawn: list[list[float]] = [[] for _ in measures]
    for times in resamples(prompts):
        total = sum(count * fields for count, fields in zip(times, packed, strict=True) if count)
        fields = memoryview(total.to_bytes(3 * _FIELD_BYTES * len(measures), "little")).cast("Q")
        for at, least in enumerate(lowest):
            first, second, told = fields[3 * at : 3 * at + 3]
            if told:
                whole = told * SCALE
                drawn[at].append((second + least * told) / whole - (first + least * told) / whole)
    return {name: _interval(pairs, drawn[at]) for at, (name, pairs) in enumerate(measures.items())}


def _lowest(pairs: Sequence[Pair]) -> int:
    """Return what is taken off every score so that none is negative."""
    return min((round(score * SCALE) for pair in pairs if pair is not None for score in pair), default=0)


def _packed(at: int, measures: Sequence[Sequence[Pair]], lowest: Sequence[int]) -> int:
    whole: list[int] = []
    for pairs, least in zip(measures, lowest, strict=True):
        pair = pairs[at]
        whole += [0, 0, 0] if pair is None else [*(round(score * SCALE) - least for score in pair), 1]
    return int.from_bytes(b"".join(number.to_bytes(_FIELD_BYTES, "little") for number in whole), "little")


def _interval(pairs: Sequence[Pair], drawn: list[float]) -> Interval | None:
    told = [pair[1] - pair[0] for pair in pairs if pair is not None]
    if not told:
        return None
    return interval_of(math.fsum(told) / len(told), drawn, len(told))


def interval_of(difference: float, drawn: Sequence[float], pairs: int) -> Interval:
    """Return a difference with its bounds, those of the middle `LEVEL` of the resampled differences."""
    tail = 100 * (1 - LEVEL) / 2
    ordered = sorted(drawn)
    low, high = (round(_percentile(ordered, share), DIGITS) for share in (tail, 100 - tail))
    return Interval(round(difference, DIGITS), low, high, pairs)


def _percentile(ordered: Sequence[float], percent: float) -> float:
    """Return a percentile with linear interpolation, rounded as numpy rounds: from the nearer neighbour."""
    place = percent / 100 * (len(ordered) - 1)
    at = math.floor(place)
    first, second = ordered[at], ordered[min(at + 1, len(ordered) - 1)]
    part = place - at
    return second - (second - first) * (1 - part) if part >= 0.5 else first + (second - first) * part  # noqa: PLR2004


def verdict(found: Interval, better: str, unit: str = "prompts") -> str:
    """Return what an interval allows to say of the second run. Without a better direction it is only `different`."""
    if found.pairs < LEAST_PAIRS:
        return f"too few {unit}"
    if found.low <= 0 <= found.high:
        return "no difference shown"
    if better not in ("higher", "lower"):
        return "different"
    return "better" if (found.low > 0) == (better == "higher") else "worse"
