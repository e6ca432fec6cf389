"""How far do the gates' figures reach in sound runs? Where limits for small models come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.faults.workshop import REPOSITORY

PAGE: Final = REPOSITORY / "docs" / "calibration.md"
_INTRODUCTION: Final = """\
# Gates on sound runs
Written by `nox -s calibrate`. Sound runs from raw rows to the quantized file on the seedling's base, each with its own
seed of rows, training and samples: {runs}. For every gate with a figure: the limit, the lowest and the highest figure.
Limits of the small model come from here; a gate that fails or warns on a sound run cries wolf.

"""

Result = Mapping[str, Any]


def alarms(results: Sequence[Result], outcome: str = "failed") -> list[str]:
    """Return the gates that fired on sound runs, with run and figure."""
    return [
        f"{result['subject']}, seed {result['seed']}: {one['gate']} ({one['subject']}): {one['value']} {one['unit']}"
        for result in results
        for stage in result["stages"]
        for one in stage["verdicts"]
        if one["outcome"] == outcome
    ] + [
        f"{result['subject']}, seed {result['seed']}: {stage['stage']} refuses: {stage['refusal']}"
        for result in results
        for stage in result["stages"]
        if stage["refusal"] and outcome == "failed"
    ]


def figures(results: Sequence[Result]) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
    """Return the verdicts that have a number, by stage, gate and subject, in the order of the work."""
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for result in results:
        for stage in result["stages"]:
            for one in stage["verdicts"]:
                if isinstance(one["value"], int | float):
                    found.setdefault((stage["stage"], one["gate"], one["subject"]), []).append(one)
    return found


def table(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """Return a line per gate and subject."""
    rows: list[tuple[str, ...]] = [
        ("stage", "gate", "of what", "unit", "limit", "lowest", "highest", "warned", "failed"),
        tuple("---" for _ in range(9)),
    ]
    for (stage, gate, subject), verdicts in figures(results).items():
        values = [one["value"] for one in verdicts]
        outcomes = [one["outcome"] for one in verdicts]
        rows.append(
            (
                stage,
                f"`{gate}`",
                subject,
                verdicts[0]["unit"],
                verdicts[0]["limit"],
                f"{min(values):.4g}",
                f"{max(values):.4g}",
                str(outcomes.count("warned") or ""),
                str(outcomes.count("failed") or ""),
            )
        )
    return rows


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return the lines of a table; a bar within a cell stays one."""
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n" for cells in rows)


def page(results: Sequence[Result]) -> str:
    """Return docs/calibration.md."""
    counts = Counter(result["subject"].removeprefix("healthy-") for result in results)
    runs = ", ".join(f"{count} of recipe `{name}`" for name, count in counts.items())
    lines = "".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n" for cells in table(results)
    )
    fired = alarms(results)
    ending = "".join(f"- {line}\n" for line in fired) if fired else "No gate failed on any of them.\n"
    return f"{_INTRODUCTION.format(runs=runs)}{lines}\n{ending}"
