"""`python -m pipeline attest`: write a signed list of what this builder got."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.context import Context, say
from pipeline.digest import canonical_json
from pipeline.environments import REPOSITORY
from pipeline.errors import CorruptArtifactError, UsageError
from pipeline.files import explained, write_atomic
from pipeline.log import Sink
from pipeline.releasing.checkout import checkout_of
from pipeline.reproducing.builder import builder
from pipeline.reproducing.building import built_manifests
from pipeline.reproducing.built_list import statement
from pipeline.signing.signer import signer_of


def main(options: argparse.Namespace, sinks: list[Sink]) -> int:
    """Hash every file of the recipe's last build and sign the list. Raises UsageError, CorruptArtifactError."""
    context = Context.of(options)
    manifests = built_manifests(options.build, context.recipe.name)
    if not manifests:
        message = f"nothing of {context.recipe.name!r} has been built in {options.build}"
        raise UsageError(message, where=options.recipe, advice=f"python -m pipeline run --recipe {options.recipe}")
    if options.stage:
        wanted = {name for target in options.stage for name in context.plan.named(target)}
        manifests = {name: manifest for name, manifest in manifests.items() if name in wanted}
    store = context.store()
    damaged = [f"{name}/{one}" for name, item in manifests.items() for one in store.damage(item, rehash=True)]
    if damaged:
        message = "what was built is damaged:\n    " + "\n    ".join(damaged)
        raise CorruptArtifactError(message, where=str(store.root), advice="run again: it is set aside and built anew")
    ordered = {name: manifests[name] for name in context.plan.stages if name in manifests}
    told = statement(ordered, context.recipe.name, _commit(), builder())
    signer = signer_of(options)
    target: Path = options.to
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, canonical_json(signer.envelope(canonical_json(told))) + b"\n")
    files = sum(len(item.files) for item in ordered.values())
    text = f"{context.recipe.name}: {files} files of {len(ordered)} stages are listed in {target}"
    say(sinks, text, "attest.written", files=files, stages=list(ordered), list=str(target), **signer.describe())
    return 0


def _commit() -> str:
    """Return this project's commit; empty where the code that ran is not that of a commit."""
    found = checkout_of(REPOSITORY)
    return "" if found.changes else found.commit
