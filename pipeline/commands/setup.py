"""`python -m pipeline setup`: make the environments, and stop."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.context import Context, environment_names, quiet, say
from pipeline.executors.table import backend_of, settings_of
from pipeline.log import Sink
from pipeline.tracking import prepare
from pipeline.vendor import vendor_tree


def main(options: argparse.Namespace, sinks: list[Sink]) -> int:
    """Make or refresh every environment that the recipe's stages run in, and the llama.cpp tree."""
    context = Context.of(options)
    names = environment_names(context.plan.stages.values())
    log = quiet(sinks)
    environments = backend_of(options, log).environments
    for name in names:
        environments.prepare(name)
    if settings_of(options).trackers.asked:
        prepare(log)
    tree: Path = vendor_tree(log)
    say(sinks, f"ready: {', '.join(names)}; llama.cpp in {tree}", "setup.finished", environments=names)
    return 0
