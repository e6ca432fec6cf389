"""`python -m pipeline status`: what a run would do."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from pipeline.context import Context, quiet, say
from pipeline.executors.table import backend_of
from pipeline.forecast import forecast
from pipeline.log import Sink


def main(options: argparse.Namespace, sinks: list[Sink]) -> int:
    """Show each stage's state and the first reason; exit 0 whatever it is."""
    context = Context.of(options)
    found = forecast(context, backend_of(options, quiet(sinks)).environments)
    lines = [f"{item.stage:<22} {item.state:<12} {item.reasons[0] if item.reasons else ''}".rstrip() for item in found]
    current = sum(item.state == "up to date" for item in found)
    lines.append(f"{current} of {len(found)} stages up to date")
    say(sinks, "\n".join(lines), "status.listed", recipe=context.recipe.name, stages=[asdict(item) for item in found])
    return 0
