"""The table of a chaos run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_HEAD: Final = (
    "| killed while in | kills | everything / client / job | went on from a checkpoint | seconds lost |\n"
    "|---|---|---|---|---|"
)


_INTRODUCTION: Final = """\
# Killed builds

Written by `nox -s chaos -- --page`. A whole `seedling` is built from an empty store, and killed by SIGKILL at moments
that chance draws; then the same command is given again, until it is done. Three ways: the client and every process
below it in any order, the client alone, one job alone. A quarter of the kills is aimed at the moment after a job's end,
when its work is published. An attempt that got nothing done makes the next one's time longer, so that a build ends.
With `--short` what must be trained is taken over from a finished build, and the plan ends early.

After each kill: no process has anything to do with the build folder any more, every lock can be taken, every artifact
that was published since the last look is hashed and compared with that of a build that nobody disturbed. At the end:
all digests are the golden ones, nothing was built twice, `verify` agrees, no work in progress is left. "Lost" is the
time since the last artifact or checkpoint was safe.
"""


@dataclass(frozen=True)
class Kill:
    """One kill: the stage it fell into, the way, how long the attempt lived, and how much of that was for nothing."""

    stage: str
    way: str
    lived_s: float
    lost_s: float
    resumed_at: int | None = None
    """Step from which the training that it fell into went on; None where it began anew or was none."""


def render(kills: Sequence[Kill], order: Sequence[str]) -> str:
    """Return a Markdown table: a row for each stage in the plan's order, and their sum."""
    names = ["start", *order, "between stages"]
    rows = [_row(name, found) for name in names if (found := [kill for kill in kills if kill.stage == name])]
    return "\n".join([_HEAD, *rows, _row("**all**", kills)]) + "\n"


def page(table: str, summary: Sequence[str], command: str) -> str:
    """Return the page `docs/chaos.md`."""
    return f"{_INTRODUCTION}\nThe last run that wrote this page: `{command}`.\n\n{table}\n" + "\n".join(summary) + "\n"


def _row(name: str, kills: Sequence[Kill]) -> str:
    ways = " / ".join(str(sum(kill.way == way for kill in kills)) for way in ("everything", "client", "job"))
    resumed = sum(kill.resumed_at is not None for kill in kills)
    lost = sum(kill.lost_s for kill in kills)
    return f"| {name} | {len(kills)} | {ways} | {resumed} | {lost:.0f} |"
