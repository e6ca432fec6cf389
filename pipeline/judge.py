"""Apply a stage's gates to what it published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from pipeline.errors import GateError
from pipeline.gates.judging import finite
from pipeline.gates.names import OF_THE_MACHINE
from pipeline.gates.verdict import Evidence, Gate, Verdict
from pipeline.gates.waivers import apply_waivers
from pipeline.recipe import Recipe
from pipeline.stages.stage import Stage

_IN_THE_RECORD: Final = "in the run's record"


def judge(
    stage: Stage,
    recipe: Recipe,
    folder: Path,
    inputs: Mapping[str, Path],
    record: Mapping[str, Any] | None = None,
) -> list[Verdict]:
    """Return the verdicts of every gate of a stage, waivers applied. `record` is that of the build.

    A gate that breaks on what the stage published has failed, and no waiver names it.
    """
    evidence = Evidence(folder=folder, inputs=inputs, recipe=recipe, measured=_figures(record or {}))
    found: list[Verdict] = []
    for gate in stage.gates:
        try:
            found += gate(evidence)
        except Exception as error:  # noqa: BLE001 - whatever it is, the stage's work must not be lost with it
            found.append(_broken(gate, error))
    return list(apply_waivers(found, recipe.waivers))


def _figures(record: Mapping[str, Any]) -> dict[str, float]:
    """Return name → value of what a build measured; of a figure measured twice (a resumed job) the last."""
    entries = record.get("measured")
    found = [entry for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, list) else []
    return {str(entry.get("name")): float(entry["value"]) for entry in found if finite(entry.get("value"))}


def repeatable(verdicts: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return verdicts (as JSON) as an artifact may hold them: without figures that the next run would not have.

    A gate on what a machine did keeps its outcome, limit and advice.
    """
    return [_without_figures(one) if _of_the_machine(one) else one for one in verdicts]


def _of_the_machine(verdict: Mapping[str, Any]) -> bool:
    return str(verdict["gate"]).partition(".")[0] in OF_THE_MACHINE and verdict["value"] is not None


def _without_figures(verdict: Mapping[str, Any]) -> dict[str, Any]:
    return {**verdict, "value": _IN_THE_RECORD, "unit": "", "evidence": []}


def _broken(gate: Gate, error: Exception) -> Verdict:
    return Verdict(
        gate=f"{gate.__module__}.{getattr(gate, '__name__', gate)}",
        subject="what the stage published",
        outcome="failed",
        value="could not be judged",
        unit="",
        limit="every gate judges",
        source="the gate itself",
        cause=f"the gate broke: {type(error).__name__}: {error}",
        advice="this is a fault of the stage or of the gate, not of your data: please report it",
    )


def failed(verdicts: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the verdicts (as JSON) that stop a run."""
    return [verdict for verdict in verdicts if verdict["outcome"] == "failed"]


def gate_error(failures: Mapping[str, list[Mapping[str, Any]]], folders: Mapping[str, Path]) -> GateError:
    """Return the error for failed gates: each with its value, limit, cause and what to do, and where."""
    lines: list[str] = []
    for stage, verdicts in failures.items():
        for item in verdicts:
            lines.append(
                f"{stage}: {item['gate']} ({item['subject']}): {item['value']} {item['unit']}, limit {item['limit']}"
            )
            lines += [f"    cause: {item['cause']}"] if item["cause"] else []
            lines += [f"    do:    {item['advice']}"] if item["advice"] else []
            lines += [f"    see:   {text}" for text in list(item["evidence"])[:3]]
    count = sum(len(verdicts) for verdicts in failures.values())
    message = f"{count} gate{'s' if count != 1 else ''} failed\n" + "\n".join(lines)
    advice = "nothing after these stages was built; mend the cause, or add [[waivers]] with a reason to the recipe"
    where = ", ".join(f"{stage} ({folders[stage]})" for stage in failures)
    return GateError(message, where=where, advice=advice)
