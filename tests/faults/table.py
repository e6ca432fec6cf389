"""The table of `docs/faults.md`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.fault import Fault
from tests.faults.workshop import REPOSITORY

PAGE: Final = REPOSITORY / "docs" / "faults.md"
CLASSES: Final = (("under 5 s", 5.0), ("under a minute", 60.0), ("minutes", float("inf")))
"""Coarse, so that the page is the same after every run."""
_SLACK: Final = 3.0
"""A class that stands on the page stays while the time is within this factor of it."""
_SPENT: Final = {
    "prepare": "nothing",
    "preflight": "the cleaning of the rows",
    "train": "this training",
    "verify-tokenizer": "the cleaning of the rows",
    "verify-hf": "one training",
    "merge": "one training",
    "verify-f16": "one training, merge, conversion",
    "imatrix": "one training, merge, conversion",
    "quantize-Q4_K_M": "one training, merge, conversion",
    "verify-quant-Q4_K_M": "one training, merge, conversion, quantization",
    "evaluate": "the whole run",
}
_INTRODUCTION: Final = """\
# Planted faults
Written by `nox -s faults`; `tests/faults/registry.py` holds the cases. Each plants one fault where it really arises
(recipe, rows, tokenizer files, labels, weights, GGUF bytes, a stand-in that speaks), runs the real jobs on the
seedling, and judges them with the real gates. A case is good when exactly the named gate fails, with the right cause,
and every stage before was silent. Time is what the suite needs, from planting to the verdict.

"""
_ROW: Final = re.compile(r"^\| `([\w-]+)` \|.*\| ([^|]+) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Result:
    """One fault's outcome: what was wrong with the way it was stopped (nothing, if all is well), and after how long."""

    fault: Fault
    shortcomings: Sequence[str]
    seconds: float


def render(results: Iterable[Result], order: Sequence[str], healthy: Sequence[str], page: str) -> str:
    """Return the page. `order` is the plan's order of stages, `healthy` sentences on sound runs, `page` the old one."""
    before = dict(_ROW.findall(page))
    ranked = sorted(results, key=lambda one: (order.index(one.fault.stage), one.fault.name))
    lines = [_row(one, before.get(one.fault.name, "")) for one in ranked]
    caught = sum(not one.shortcomings for one in ranked)
    head = "| case | fault | caught by | at stage | spent before | time |\n|---|---|---|---|---|---|\n"
    ending = [f"Caught as they should be: {caught} of {len(lines)}.", *healthy]
    return _INTRODUCTION + head + "\n".join(lines) + "\n\n" + "\n".join(ending) + "\n"


def _row(result: Result, before: str) -> str:
    fault = result.fault
    gate = f"`{fault.gate}`" if "." in fault.gate else fault.gate
    caught = gate if not result.shortcomings else f"**not caught**: {fault.missed or '; '.join(result.shortcomings)}"
    spent, time = _SPENT.get(fault.stage, "one training"), time_class(result.seconds, before)
    cells = (f"`{fault.name}`", fault.what, caught, fault.stage, spent, time)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def time_class(seconds: float, before: str) -> str:
    """Return the class of a time; the one that stands on the page already, unless it is clearly wrong."""
    lowest = 0.0
    for name, highest in CLASSES:
        if name == before and lowest / _SLACK <= seconds < highest * _SLACK:
            return name
        lowest = highest
    return next(name for name, highest in CLASSES if seconds < highest)


def listed(page: Path = PAGE) -> list[str]:
    """Return the names of the cases on the page."""
    return [name for name, _ in _ROW.findall(page.read_text(encoding="utf-8"))]
