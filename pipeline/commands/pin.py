"""`python -m pipeline pin`: look up a hub base model's file hashes and write them into the recipe."""

from __future__ import annotations

import argparse

from pipeline.context import quiet, say
from pipeline.fetching.pin import pin
from pipeline.loading import find_recipe
from pipeline.log import Sink


def main(options: argparse.Namespace, sinks: list[Sink]) -> int:
    """Rewrite the recipe's `[base.files]`. Raises FetchError."""
    path = find_recipe(options.recipe)
    files = pin(path, emit=quiet(sinks))
    say(sinks, f"{path}: {len(files)} files pinned", "pin.finished", recipe=str(path), files=files)
    return 0
