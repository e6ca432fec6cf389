"""`python -m pipeline verify`: hash every artifact of a recipe's last run again; or verify a release that is named."""

from __future__ import annotations

import argparse
import shutil

from pipeline.context import Context, quiet, say
from pipeline.errors import CorruptArtifactError, UsageError
from pipeline.log import Sink
from pipeline.plan import key_of
from pipeline.runs import read_state


def main(options: argparse.Namespace, sinks: list[Sink]) -> int:
    """Compare every byte with the manifests. Raises CorruptArtifactError naming each damaged file."""
    if options.release is not None:
        from pipeline.commands import verify_release  # noqa: PLC0415 - keys and schemas, which no other command needs

        return verify_release.main(options, sinks)
    if options.policy or options.key or options.any_signer:
        message = "whom you trust matters for a release only, and none was named"
        raise UsageError(message, where="verify", advice="python -m pipeline verify FOLDER --key PUB.pem")
    context = Context.of(options)
    keys = read_state(context.build, context.recipe.name)["stages"]
    if not keys:
        message = f"nothing of {context.recipe.name!r} has been built in {options.build}"
        raise UsageError(message, where=options.recipe, advice=f"python -m pipeline run --recipe {options.recipe}")
    store = context.store()
    damaged: list[str] = []
    count, size = 0, 0
    for stage, key in keys.items():
        manifest = store.manifest(key)
        if manifest is None:
            damaged.append(f"{stage}: its manifest is gone or cannot be read ({store.manifest_path(key)})")
            continue
        problems = store.damage(manifest, rehash=True)
        if key_of(manifest.components) != key:
            problems.append("manifest.json: what it says the artifact was made of is not what its key stands for")
        if problems:
            store.distrust(manifest)
        damaged += [f"{stage}/{problem}" for problem in problems]
        count += len(manifest.files)
        size += sum(entry.size for entry in manifest.files)
        quiet(sinks)("verify.stage", stage=stage, files=len(manifest.files), problems=problems)
    if damaged:
        shutil.rmtree(context.build / "unchanged", ignore_errors=True)  # no run may say that nothing is to be done
        count_text = "1 problem" if len(damaged) == 1 else f"{len(damaged)} problems"
        message = f"{count_text} in the artifacts of {context.recipe.name!r}:\n    " + "\n    ".join(damaged)
        advice = "run again: what is damaged is set aside and built anew"
        raise CorruptArtifactError(message, where=str(store.root), advice=advice)
    text = f"{context.recipe.name}: {len(keys)} artifacts, {count} files, {size:,} bytes: all as their manifests say"
    say(sinks, text, "verify.finished", artifacts=len(keys), files=count, bytes=size)
    return 0
