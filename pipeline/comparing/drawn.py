"""Intervals of measures that have no value for a single answer: of all answers together, and of a text's windows.

Stage `evaluate` publishes them in every resample. Runs that were asked the same prompts, or read the same text, drew
the same ones, so the difference in each resample is one subtraction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipeline.comparing.resampling import Interval, interval_of
from pipeline.comparing.side import Side
from pipeline.comparing.yardsticks import OF_TEXT

PERPLEXITIES: Final = {"perplexity": "loss", "neutral_perplexity": "neutral_loss"}
"""As in `inside/scoring/forms.py`: exponentials of another measure, which is published in their place."""
MEASURES: Final = OF_TEXT | {"bleu", "chrf"}
"""Measures that a run publishes so."""
LEAST_LOSS: Final = 0.01
"""Nats per token. As there: what differs by less is no difference that matters."""
_LARGEST_LOSS: Final = 700.0

Drawn = Mapping[tuple[str, str], Mapping[str, Any]]
"""The rows of resamples.jsonl by measure and form."""


def read(side: Side) -> Drawn:
    """Return what a run published; empty for a run of an older version."""
    return {(row["metric"], row["form"]): row for row in side.files.rows("evaluate", "resamples.jsonl")}


def interval(name: str, form: str, values: Sequence[float], drawn: Sequence[Drawn]) -> Interval | None:
    """Return the interval of a measure's difference second - first; None where a run did not publish what it takes.

    `values` are the measure's values in both runs. The caller knows that both drew from the same prompts or text.
    """
    rows = [one.get((PERPLEXITIES.get(name, name), form)) for one in drawn]
    found = [row for row in rows if row is not None]
    if len(found) < len(rows) or len({(row["drawn_from"], len(row["values"])) for row in found}) > 1:
        return None
    first, second = (_values(name, row["values"]) for row in found)
    differences = [after - before for before, after in zip(first, second, strict=True)]
    return interval_of(values[1] - values[0], differences, int(found[0]["drawn_from"]))


def _values(name: str, drawn: Sequence[float]) -> Sequence[float]:
    return [math.exp(min(_LARGEST_LOSS, one)) for one in drawn] if name in PERPLEXITIES else drawn


def is_slight(name: str, values: Sequence[float]) -> bool:
    """Tell whether two values of a measure of text differ by less than `LEAST_LOSS`; of perplexities, their losses."""
    if name not in OF_TEXT:
        return False
    first, second = (math.log(one) for one in values) if name in PERPLEXITIES else values
    return abs(second - first) < LEAST_LOSS
