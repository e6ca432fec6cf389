"""`python -m pipeline images`: build the container images, and write their digests into lockfiles/images.lock."""

from __future__ import annotations

import argparse

from pipeline.context import quiet, say
from pipeline.errors import ImageError
from pipeline.images.build import CACHE, Builder, Built, disk_errors
from pipeline.images.engine import opened
from pipeline.images.lock import DEFAULT, image_name, write_entry
from pipeline.images.relock import relock
from pipeline.images.settings import read_settings
from pipeline.log import Sink


def main(options: argparse.Namespace, sinks: list[Sink]) -> int:
    """Build what is not there and say whether it is what the lock names; with `--check` a difference is an error."""
    settings = read_settings()
    with opened() as engine:
        log = quiet(sinks)
        if options.relock_debian:
            with disk_errors("Debian's packages could not be locked", CACHE):
                CACHE.mkdir(parents=True, exist_ok=True)
                counts = relock(engine, settings, log, scratch=CACHE)
            words = ", ".join(f"{name} {count}" for name, count in counts.items())
            say(sinks, f"locks of Debian packages written: {words}", "debian.relocked", counts=counts)
            return 0
        builder = Builder(engine, settings, log, local=options.local_base)
        different: list[str] = []
        for environment in options.images or ("training", "inference"):
            built = builder.build(image_name(environment, options.variant), cached=not options.no_cache)
            if not options.check and not built.unchanged:
                with disk_errors("the lock could not be written", DEFAULT):
                    write_entry(built.name, built.entry)
            verdict = judge(built)
            different += [built.name] if "differs" in verdict else []
            say(
                sinks,
                f"{built.name}: {verdict}",
                "image.judged",
                image=built.name,
                id=built.entry["id"],
                verdict=verdict,
            )
    if options.check and different:
        message = f"not what the lock names: {', '.join(different)}"
        advice = "if the change is wanted, run without --check and commit the lock"
        raise ImageError(message, where=str(DEFAULT), advice=advice)
    return 0


def judge(built: Built) -> str:
    """Say what an image is beside what the lock named before."""
    short = built.entry["id"][:19]
    if built.unchanged:
        return f"up to date, {short}"
    if built.before is None:
        return f"new in the lock, {short}"
    if built.before["id"] == built.entry["id"]:
        return f"as locked, {short}"
    changed = [key for key in built.entry["pins"] if built.before["pins"].get(key) != built.entry["pins"][key]]
    cause = f"changed: {', '.join(changed)}" if changed else "its pins are the same: look at containers/ and the engine"
    if not changed and built.before["inputs"] == built.entry["inputs"]:
        cause = "from the very same inputs: this build is not reproducible here"
    return f"differs from the lock, {built.before['id'][:19]} → {short} ({cause})"
