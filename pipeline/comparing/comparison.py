"""The whole comparison, as plain JSON values: what `--json` prints, and what the page is made of."""

from __future__ import annotations

from typing import Any

from pipeline.comparing import figures
from pipeline.comparing.metrics import metrics
from pipeline.comparing.outputs import outputs
from pipeline.comparing.settings import settings, stages
from pipeline.comparing.side import Side

SCHEMA = 1


def compare(first: Side, second: Side) -> dict[str, Any]:
    """Return run A beside run B. What a run does not have is None or missing from its part, never zero."""
    return {
        "schema": SCHEMA,
        "a": first.to_json(),
        "b": second.to_json(),
        "stages": stages(first, second),
        "settings": settings(first, second),
        "data": figures.funnel(first, second),
        "training": figures.training(first, second),
        "gates": figures.gates(first, second),
        "metrics": metrics(first, second),
        "sizes": figures.sizes(first, second),
        "speeds": figures.speeds(first, second),
        "outputs": outputs(first, second),
    }
