"""`python -m pipeline gc`: remove artifacts that no kept run needs."""

from __future__ import annotations

import argparse

from pipeline.context import say
from pipeline.errors import UsageError
from pipeline.files import explained
from pipeline.log import Sink
from pipeline.runs import keys_to_keep
from pipeline.store import Store


def main(options: argparse.Namespace, sinks: list[Sink]) -> int:
    """Keep what the last run and release of each recipe and the named runs need; remove the rest."""
    store = options.build / "store"
    if not store.is_dir():
        message = "there is no store here"
        raise UsageError(message, where=str(store), advice="name the build folder with --build")
    with explained(store):
        found = Store(store, "gc").collect(
            lambda: keys_to_keep(options.build, options.runs), scratch=options.scratch, dry_run=options.dry_run
        )
    verb = "would remove" if options.dry_run else "removed"
    text = (
        f"{verb} {found['artifacts_removed']} artifacts, {found['bytes_freed']:,} bytes; kept {found['artifacts_kept']}"
    )
    say(sinks, text, "gc.finished", dry_run=options.dry_run, **found)
    return 0
