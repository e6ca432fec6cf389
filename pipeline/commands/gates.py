"""`python -m pipeline gates`: what the gates say of a recipe's last build."""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.arguments import OUTCOMES
from pipeline.context import Context, say
from pipeline.display import STYLES
from pipeline.gate_table import Review, counts, review
from pipeline.gates.verdict import Verdict
from pipeline.log import Sink

_COLUMNS = ("stage", "gate", "of what", "value", "limit", "verdict")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""What evidence could steer a terminal with: it may quote damaged rows."""
_UNCUT = 200
"""Columns of the table where no terminal's width is known."""


def main(options: argparse.Namespace, sinks: list[Sink]) -> int:
    """Show the verdicts of the last build; exit 0 whatever they are. Raises UsageError for an unknown stage."""
    context = Context.of(options)
    wanted = context.plan.named(options.stage) if options.stage else list(context.plan.stages)
    found = [item for item in review(context) if item.stage in wanted]
    total = {outcome: counts(found)[outcome] for outcome in OUTCOMES}
    text = "\n".join(_lines(found, options.only, total, verbose=options.verbose))
    say(
        sinks,
        text,
        "gates.listed",
        recipe=context.recipe.name,
        stages=[_data(item, options.only) for item in found],
        counts=total,
    )
    return 0


def _data(item: Review, only: Collection[str]) -> dict[str, Any]:
    """Return a review for a machine."""
    verdicts = [verdict.to_json() for verdict in item.verdicts if verdict.outcome in only]
    return {**asdict(replace(item, verdicts=())), "verdicts": verdicts}


def _lines(found: Sequence[Review], only: Collection[str], total: dict[str, int], *, verbose: bool) -> Iterator[str]:
    """Give what a person reads: the table, details, what is not as it should be, the counts."""
    shown = [(item.stage, verdict) for item in found for verdict in item.verdicts if verdict.outcome in only]
    if shown:
        yield _table(shown)
    if verbose:
        yield from (line for stage, verdict in shown for line in _details(stage, verdict))
    for item in found:
        if item.state != "built":
            yield f"{item.stage}: {item.state}" + (f" ({item.note})" if item.note else "")
    for item in found:
        if item.failures:
            gates = ", ".join(dict.fromkeys(verdict.gate for verdict in item.failures))
            yield f"{item.stage}: {gates} stops {', '.join(item.stops) or 'nothing later'}"
    told = ", ".join(f"{total[outcome]} {outcome}" for outcome in reversed(OUTCOMES))
    yield f"{sum(total.values())} verdicts: {told}"


def _table(shown: Sequence[tuple[str, Verdict]]) -> str:
    """Return the table as text, with colours where standard output takes them. A stage is named once."""
    table = Table(*_COLUMNS, box=SIMPLE_HEAD, pad_edge=False)
    before = ""
    for stage, verdict in shown:
        name, before = "" if stage == before else stage, stage
        outcome = Text(verdict.outcome, style=STYLES.get(verdict.outcome, "green"))
        told = (name, verdict.gate, verdict.subject, _measured(verdict), verdict.limit)
        table.add_row(*(Text(cell, overflow="fold") for cell in told), outcome)
    console = Console()
    if not console.is_terminal:
        console = Console(width=_UNCUT)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()).strip("\n") + "\n"


def _measured(verdict: Verdict) -> str:
    if verdict.value is None:
        return "–"
    shown = {int: ",", float: ".4g", str: ""}[type(verdict.value)]
    value = format(verdict.value, shown)
    return f"{value} {verdict.unit}".rstrip()


def _details(stage: str, verdict: Verdict) -> Iterator[str]:
    """Give the lines on one verdict: why, what to do, what it was found in."""
    yield f"{stage}: {verdict.gate} ({verdict.subject}): {verdict.outcome}"
    reason = "reason" if verdict.outcome == "not measured" else "cause"
    told = [(reason, verdict.cause), ("do", verdict.advice), *(("see", text) for text in verdict.evidence)]
    for name, text in (*told, ("waived", verdict.waiver), ("source", verdict.source)):
        if text:
            yield f"    {name + ':':<8}{_CONTROL.sub('�', text)}"
