"""Results of one or several commands, put into docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.gpu import facts, tables
from bench.gpu.bench import Device
from bench.gpu.results import FILE, MEASURED, NoResultsError, Results
from bench.gpu.shapes import LARGE, SMALL, TINY, Shape
from bench.table import PAGE, Table, drop, put

SHAPES: dict[Device, list[Shape]] = {"cuda": [SMALL, LARGE], "cpu": [TINY]}
"""What is measured on each device, unless a command names other shapes."""


def combined(folders: Sequence[Path]) -> Results:
    """Return the results of several folders as one: of each part the first that was measured.

    Raises NoResultsError where one has none, or was measured on another machine, driver or set of packages.
    """
    whole = Results(folders[:1])
    for folder in folders:
        if not (folder / FILE).is_file():
            raise NoResultsError(f"there is no {FILE} in {folder}")
        read = Results((folder,))
        told, first = read.measured(facts.PART), whole.measured(facts.PART)
        if told is None or first is None:
            raise NoResultsError(f"{folder / FILE} does not say on what it was measured: {read.reason(facts.PART)}")
        if differ := sorted(name for name in {*told, *first} if told.get(name) != first.get(name)):
            raise NoResultsError(f"{folder / FILE} is of another machine than {folders[0] / FILE}: {', '.join(differ)}")
        for name, result in read.parts.items():
            if name not in whole.parts or (result.state == MEASURED and whole.measured(name) is None):
                whole.parts[name] = result
    return whole


def keep(folders: Sequence[Path], shapes: Sequence[Shape] | None = None, page: Path = PAGE) -> tuple[Table, ...]:
    """Put the tables of some folders' results into the page; return them. Raises NoResultsError."""
    results = combined(folders)
    told = results.measured(facts.PART) or {}
    device: Device = "cuda" if told["device"] == "cuda" else "cpu"
    made = tables.of(results, shapes or SHAPES[device], device)
    for table in made:
        put(table, page)
    drop_stale(made, device, page)
    return made


def drop_stale(made: Sequence[Table], device: Device, page: Path = PAGE) -> None:
    """Take what an earlier command had not measured out of the page, where nothing is missing any more."""
    if tables.missing_title(device) not in [table.title for table in made]:
        drop(tables.missing_title(device), page)
