"""`python -m pipeline stages`: the plan of a recipe."""

from __future__ import annotations

import argparse

from pipeline.context import Context, say
from pipeline.log import Sink


def main(options: argparse.Namespace, sinks: list[Sink]) -> int:
    """List the stages in the order of the work."""
    context = Context.of(options)
    rows = [
        {
            "stage": stage.name,
            "environment": stage.environment,
            "inputs": sorted({item.stage for item in stage.inputs.values()}),
            "gates": len(stage.gates),
            "summary": stage.summary,
        }
        for stage in context.plan.stages.values()
    ]
    lines: list[str] = []
    for stage in context.plan.stages.values():
        lines.append(f"{stage.name:<22} {stage.environment:<10} {stage.summary}")
        lines += [f"{'':<22} after {', '.join(stage.dependencies)}"] if stage.dependencies else []
    say(sinks, "\n".join(lines), "stages.listed", recipe=context.recipe.name, stages=rows)
    return 0
