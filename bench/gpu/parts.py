"""All parts in their order, and the one loop that runs them."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench.gpu import checks, facts, files, library, models, training
from bench.gpu.bench import Bench, Device
from bench.gpu.budget import Budget
from bench.gpu.processes import NotMeasuredError
from bench.gpu.results import MEASURED, NOT_MEASURED, Result
from bench.gpu.shapes import Shape

Measure = Callable[[Bench, float], dict[str, Any]]
"""Is given the seconds that it may take; returns its figures, or raises NotMeasuredError."""


@dataclass(frozen=True)
class Part:
    """One part. It is not begun with less than `least_s` left, and stopped after `most_s`.

    On a card `least_s` is what the part takes by arithmetic (bytes written over 1 GB/s of a disk, bytes read that were
    written before over 5 GB/s of main memory, operations over a tenth of the card's peak, minutes of compilation and of
    rounding to 4 bits on 16 processors); none of it was measured.
    """

    name: str
    least_s: float
    most_s: float
    measure: Measure


CONVERT_S, QUANTIZE_S = 77, 60
"""From what two busy cores of 2.8 GHz took: 1.6 s of a processor for a GB converted, the system's own time (2 s there)
not counted, and a second for 19 M weights quantized; and the bytes written over 1 GB/s."""

CHECKS_S = {
    "preflight": 15,
    "verify-tokenizer": 4,
    "verify-base": 30,
    "evaluate-base": 5,
    "verify-merged": 30,
    "verify-quant": 25,
    "verify-f16": 25,
    "verify-hf": 100,  # 13 B weights are rounded to 4 bits on the processors: 12.7 M a second on one, measured
    "compare": 5,
    "evaluate": 5,
    "merge": 300,  # rounds them twice, and writes 59 GB
}
"""`least_s` of each check for a large model."""


def plan(shapes: Sequence[Shape], device: Device) -> list[Part]:
    """Return the parts: trainings first, the smaller model first; then the same again, llama.cpp, and the checks."""
    first, last = shapes[0], shapes[-1]
    kinds = library.kinds(device)
    found = [Part(facts.CARRIED_PART, 1, 120, facts.unpack_carried), Part(facts.PART, 1, 60, facts.facts)]
    for shape in shapes:
        found += _trainings(shape)
    for trainer in training.TRAINERS:
        name = training.part(first, trainer, again=True)
        found.append(
            _timed(name, first, 30, 60, 300, partial(training.train, shape=first, trainer=trainer, again=True))
        )
    found += [
        Part(library.part(kind), 0 if kind == library.INSTALLED else 60, 400, partial(library.build, kind=kind))
        for kind in kinds
    ]
    for trainer in training.TRAINERS:
        found.append(
            Part(training.same_part(first, trainer), 1, 120, partial(training.same, shape=first, trainer=trainer))
        )
    for shape in shapes:
        found += _files(shape, kinds)
    found += [_check(last, stage) for stage in checks.STAGES]
    return found


def _trainings(shape: Shape) -> Iterable[Part]:
    yield _timed(models.part(shape), shape, 15, 45, 180, partial(models.make, shape=shape))
    for trainer in training.TRAINERS:
        measure = partial(training.train, shape=shape, trainer=trainer)
        yield _timed(training.part(shape, trainer), shape, 30, 75, 300, measure)


def _files(shape: Shape, kinds: Sequence[str]) -> Iterable[Part]:
    yield _timed(files.convert_part(shape), shape, 10, CONVERT_S, 300, partial(files.convert, shape=shape))
    yield _timed(files.quantize_part(shape), shape, 10, QUANTIZE_S, 300, partial(files.quantize, shape=shape))
    for kind in kinds:
        measure = partial(files.speak, shape=shape, kind=kind)
        yield _timed(files.speak_part(shape, kind), shape, 15, 45, 240, measure)
    reference = partial(files.reference, shape=shape)
    yield _timed(files.speak_part(shape, files.REFERENCE), shape, 10, 45, 240, reference)
    yield _timed(files.divergence_part(shape), shape, 3, 5, 60, partial(files.divergence, shape=shape))


def _timed(name: str, shape: Shape, small_s: float, large_s: float, most_s: float, measure: Measure) -> Part:
    """Return a part that needs `small_s` for a model under 3 B weights, `large_s` above; a tiny one needs a second."""
    size = shape.parameters
    return Part(name, 1 if not shape.real_tokenizer else small_s if size < 3e9 else large_s, most_s, measure)  # noqa: PLR2004


def _check(shape: Shape, stage: str) -> Part:
    measure = partial(checks.check, shape=shape, stage=stage)
    least_s = CHECKS_S[stage]
    return _timed(checks.part(shape, stage), shape, min(least_s, 10), least_s, max(300, 1.5 * least_s), measure)


def run(bench: Bench, parts: Sequence[Part], budget: Budget, tell: Callable[[Result], None]) -> None:
    """Measure every part that was not measured before. Whatever happens to one, the next is begun."""
    for part in parts:
        if bench.results.measured(part.name) is None:
            result = measure(bench, part, budget)
            bench.results.add(result)
            tell(result)


def measure(bench: Bench, part: Part, budget: Budget) -> Result:
    """Return what came of a part."""
    limit = budget.limit(part.least_s, part.most_s)
    if limit is None:
        reason = f"no time: it needs some {part.least_s:.0f} s, {budget.left():.0f} were left; the same command goes on"
        return Result(part.name, NOT_MEASURED, 0.0, reason)
    started = time.monotonic()
    try:
        figures = part.measure(bench, limit)
    except NotMeasuredError as error:
        return Result(part.name, NOT_MEASURED, round(time.monotonic() - started, 1), str(error))
    except Exception as error:  # noqa: BLE001 - a fault of one part may not cost the figures of the others
        where = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"a fault of the bench: {type(error).__name__}: {error} ({where.name}, line {where.lineno})"
        return Result(part.name, NOT_MEASURED, round(time.monotonic() - started, 1), reason)
    return Result(part.name, MEASURED, round(time.monotonic() - started, 1), figures=figures)
