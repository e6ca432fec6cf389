"""`python -m pipeline reproduce FOLDER`: build a release again from its own papers, and compare."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.context import quiet, say
from pipeline.digest import digest_file
from pipeline.environments import REPOSITORY, llama_cpp_cache
from pipeline.errors import ArtifactsDifferError
from pipeline.log import Sink
from pipeline.releasing.layout import CHECKSUMS
from pipeline.reproducing.building import Ended, Workshop
from pipeline.reproducing.release import Release, read_release
from pipeline.reproducing.reproduce import Order, against, reproduce
from pipeline.reproducing.reproduction import Reproduction, render
from pipeline.reproducing.work_folder import claim
from pipeline.store import Store


def main(options: argparse.Namespace, sinks: list[Sink]) -> int:
    """Print the verdict and write it down. Raises ArtifactsDifferError when the release and the build differ."""
    emit = quiet(sinks)
    release = read_release(options.folder)
    emit("release.checked", files=len(release.sums), folder=str(options.folder))
    order = _order(options, release)
    if options.against is not None:
        claim(release, order.work)
        workshop = Workshop(REPOSITORY, release.recipe, options.against.absolute())
        found = against(release, workshop, order, Ended(0, {}))
    else:
        found = reproduce(release, order, emit, lambda event: _pass_on(sinks, event))
    data, page = found.write(order.work)
    say(sinks, f"{render(found)}\nwritten: {data}, {page}", "reproduce.finished", **found.to_json(), written=str(data))
    return _end(found, data)


def _end(found: Reproduction, data: Path) -> int:
    if found.judgement.verdict == "identical":
        return 0
    first = found.judgement.first
    where = first.stage if first is not None else ""
    raise ArtifactsDifferError(found.headline, where=where, advice=f"every difference stands in {data}")


def _order(options: argparse.Namespace, release: Release) -> Order:
    name = digest_file(release.folder / CHECKSUMS)[:12]
    work = (options.work or options.build / "reproductions" / name).absolute()
    caches = () if options.fresh else (llama_cpp_cache() / "archives",)
    return Order(
        work=work,
        source=str(options.repository or REPOSITORY),
        store=Store((options.build / "store").absolute()),
        places=tuple(path.absolute() for path in options.data or ()),
        archive=options.archive,
        archives=(release.folder.absolute(), release.folder.absolute().parent, *caches),
        run_options=tuple(_run_options(options)),
        fresh=options.fresh,
    )


def _run_options(options: argparse.Namespace) -> list[str]:
    found = ["--executor", options.executor] if options.executor else []
    return [*found, "--settings", str(options.settings.absolute())] if options.settings else found


def _pass_on(sinks: list[Sink], event: Mapping[str, Any]) -> None:
    for sink in sinks:
        sink(event)
