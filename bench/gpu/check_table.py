"""The table of the checks: what each takes, what is left out and why, and all of them as a share of a training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bench.gpu import checks, settings
from bench.gpu.results import Results
from bench.gpu.shapes import Shape

HEAD = ("check", "s as run", "s at the recipe's size")
ABSENT = "not measured"
_NAMES = {"merge": "merge, what it measures", "verify-merged": "verify-merged, on the model itself"}


def rows(results: Results, shape: Shape) -> Iterator[tuple[str, ...]]:
    """Yield a row for each check; one that was not measured says why."""
    for stage in checks.STAGES:
        part = checks.part(shape, stage)
        found, name = results.measured(part), _NAMES.get(stage, stage)
        if found is None:
            yield (name, f"{ABSENT}: {results.reason(part)}", "")
        else:
            yield (name, f"{found['seconds']:.1f}", f"{found['whole_s']:.1f}")


def note(results: Results, shape: Shape) -> str:
    """Return how the checks were run, and what they take in all, as a share of a training by the faster trainer."""
    return f"{_how(shape)} {_share(results, shape)}"


def _how(shape: Shape) -> str:
    known, wanted = checks.tables(shape), settings.tables()
    prompts = [one["generate"]["prompts"] for one in (known, wanted)]
    tokens = [one["parity"]["tokens"] for one in (known, wanted)]
    return (
        f"The pipeline's programs that check a model, on {shape.name}; the gates take milliseconds. Answered were"
        f" {prompts[0]} of the recipe's {prompts[1]} prompts, read {tokens[0]:,} of its {tokens[1]:,} tokens of text:"
        " for the forms that speak the last column scales the time for answers and text to all of them. The other"
        " rows are not scaled. `merge` has all of its time in the first column, and in the last the time after"
        " writing."
    )


def _share(results: Results, shape: Shape) -> str:
    found: dict[str, Mapping[str, Any]] = {}
    for stage in checks.STAGES:
        measured = results.measured(checks.part(shape, stage))
        if measured is not None:
            found[stage] = measured
    steps = [told["step_s"] for part in checks.trainings(shape) if (told := results.measured(part))]
    if not found or not steps:
        return f"Their share of a training: {ABSENT}."
    missing = [stage for stage in checks.STAGES if stage not in found]
    count = f"{len(found)} of {len(checks.STAGES)}, without {', '.join(missing)}" if missing else "all"
    whole, trained = sum(one["whole_s"] for one in found.values()), checks.training_seconds(min(steps))
    return (
        f"{whole:,.0f} s ({count}) are {whole / trained:.0%} of {trained:,.0f} s, a training of 1,000 clean rows of"
        f" {shape.row_tokens} tokens by the time of one step."
    )
