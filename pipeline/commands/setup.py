"""`python -m pipeline setup`: make the environments, and stop."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline import environments
from pipeline.context import Context, quiet, say
from pipeline.log import Sink
from pipeline.vendor import vendor_tree


def main(options: argparse.Namespace, sinks: list[Sink]) -> int:
    """Make or refresh every environment that the recipe's stages run in, and the llama.cpp tree."""
    context = Context.of(options)
    names = sorted({stage.environment for stage in context.plan.stages.values()} - {"host"})
    log = quiet(sinks)
    for name in names:
        environments.ensure(name, log)
    tree: Path = vendor_tree(log)
    say(sinks, f"ready: {', '.join(names)}; llama.cpp in {tree}", "setup.finished", environments=names)
    return 0
