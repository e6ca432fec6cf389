"""`python -m pipeline why STAGE`: which component of the key changed."""

from __future__ import annotations

import argparse

from pipeline.context import Context, quiet, say
from pipeline.executors.table import backend_of
from pipeline.forecast import forecast
from pipeline.log import Sink
from pipeline.runs import read_state


def main(options: argparse.Namespace, sinks: list[Sink]) -> int:
    """Say why a stage would be built, or why it was built last. Raises UsageError for an unknown stage."""
    context = Context.of(options)
    wanted = context.plan.named(options.stage)
    changed = read_state(context.build, context.recipe.name).get("changed", {})
    for item in forecast(context, backend_of(options, quiet(sinks)).environments):
        if item.stage in wanted:
            built = changed.get(item.stage, [])
            lines = [f"{item.stage}: {item.state}" + (f" (key {item.key[:16]}…)" if item.key else "")]
            lines += [f"    {reason}" for reason in item.reasons]
            lines += [f"    last built because {reason}" for reason in built] if item.state == "up to date" else []
            data = {"stage": item.stage, "state": item.state, "key": item.key, "reasons": list(item.reasons)}
            say(sinks, "\n".join(lines), "why.answered", last_built_because=built, **data)
    return 0
