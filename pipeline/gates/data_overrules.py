"""Gate on what a person decided against the cleaning: none of it is lost, and nobody speaks in a person's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.gates.judging import Check, read_json, read_mapping
from pipeline.gates.verdict import Evidence, Gate, Verdict

_MISSING = "overrules.json of `prepare` or entries.json of `fetch-overrules` is missing or has another form"


def overrules(evidence: Evidence) -> Sequence[Verdict]:
    """Warn of overrules without effect; fail when rows stay or went by one that nobody wrote.

    The claims of `prepare` are held against the decisions as the host read them from the person's file. A recipe
    without overrules gives no verdict.
    """
    if evidence.recipe.data.overrules is None:
        return ()
    check = Check(
        "data.overrules",
        "a person's overrules",
        "overrules without effect",
        "0, or a warning; each written by a person",
        "seed 001 §1: a person has the last word",
    )
    found = read_mapping(evidence.folder, "overrules.json")
    written = read_json(evidence.inputs.get("overrules"), "entries.json")
    if found is None or not isinstance(written, list):
        return (check.not_measured(_MISSING),)
    entries = found["entries"]
    counts = f"{found['kept']} rows kept and {found['dropped']} dropped by a person"
    claimed = [{name: entry[name] for name in ("decision", "row", "number")} for entry in entries]
    if claimed != written:
        cause = "what the stage applied is not what the file of overrules says"
        advice = "this is a fault of the stage, not of your file: report it"
        return (check.failed(len(entries), cause, advice, [counts]),)
    without = [entry for entry in entries if entry["state"] != "applied"]
    return (
        check.judged(
            len(without),
            fails=False,
            warns=bool(without),
            cause="the raw rows, the rules or the recipe changed since they were written, or they cannot be followed",
            advice="look at these lines of data.overrules: remove them, or mend the raw rows",
            evidence=[counts, *map(_told, without)],
        ),
    )


def _told(entry: Mapping[str, Any]) -> str:
    return f"line {entry['number']}, {entry['decision']} {entry['row']}: {entry['state']}, {entry['why']}"


overrule_gates: tuple[Gate, ...] = (overrules,)
