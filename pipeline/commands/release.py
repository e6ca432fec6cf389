"""`python -m pipeline release`: hand out a model with the papers that say what it is."""

from __future__ import annotations

import argparse

from pipeline.context import Context, say
from pipeline.log import Sink
from pipeline.releasing.folder import write_release
from pipeline.releasing.layout import CHECKSUMS


def main(options: argparse.Namespace, sinks: list[Sink]) -> int:
    """Write the release folder. Raises ReleaseError, which lists all that stands against it."""
    context = Context.of(options)
    folder = write_release(context, options, sinks)
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    release = context.recipe.release
    text = (
        f"{release.title or context.recipe.name} {release.version} is released in {folder}:"
        f" {len(sizes)} files, {sum(sizes.values()):,} bytes\n"
        f"  its bytes:      cd {folder} && sha256sum -c {CHECKSUMS}\n"
        f"  all of it:      python -m pipeline verify {folder}"
    )
    say(
        sinks,
        text,
        "release.written",
        recipe=context.recipe.name,
        version=release.version,
        folder=str(folder),
        files=list(sizes),
        bytes=sum(sizes.values()),
    )
    return 0
