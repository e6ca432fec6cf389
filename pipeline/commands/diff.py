"""`python -m pipeline diff A B`: how two artifacts, folders or runs differ."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.asides import Asides
from pipeline.context import quiet, say
from pipeline.differing.compare import CompareTensors, compare_places
from pipeline.differing.page import render
from pipeline.differing.places import find_places
from pipeline.errors import ArtifactsDifferError
from pipeline.executors.table import backend_of
from pipeline.log import Sink
from pipeline.runs import new_run_id
from pipeline.store import Store


def main(options: argparse.Namespace, sinks: list[Sink]) -> int:
    """Print the comparison. Raises ArtifactsDifferError when anything differs, UsageError for what is not there."""
    first, second = find_places(options.first, options.second, options.build)
    store = Store((options.build / "store").absolute(), new_run_id())
    with store.opened():
        found = compare_places(first, second, _tensors(options, sinks, store))
    equal = not any(one.files for one in found)
    data = {"first": first.name, "second": second.name, "equal": equal, "parts": [one.to_json() for one in found]}
    say(sinks, render(found, first.name, second.name), "diff.finished", **data)
    if equal:
        return 0
    count = sum(len(one.files) for one in found)
    message = f"{count} {'file differs' if count == 1 else 'files differ'}"
    where = next(one.part for one in found if one.files)
    advice = "the differences stand above"
    if any(one.part for one in found):
        advice += "; `python -m pipeline why STAGE` says what a stage's key is made of"
    raise ArtifactsDifferError(message, where=where or f"{first.name}, {second.name}", advice=advice)


def _tensors(options: argparse.Namespace, sinks: list[Sink], store: Store) -> CompareTensors:
    """Return what compares two tensor files: a job, since their numbers are read by llama.cpp's own code."""

    def compare(first: Path, second: Path) -> Mapping[str, Any]:
        asides = Asides(backend_of(options, quiet(sinks)), store, quiet(sinks))
        inputs = {side: {f"file{path.suffix}": path.resolve()} for side, path in (("first", first), ("second", second))}
        folder = asides.run(f"compare {first.name}", "tensor_differences", "inference", inputs, {})
        found: Mapping[str, Any] = json.loads((folder / "differences.json").read_bytes())
        return found

    return compare
