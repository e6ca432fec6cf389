"""The gates: every verdict against its own value and limit, and against the manifest; waivers shown."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pipeline.arguments import OUTCOMES
from pipeline.releasing.layout import CHAIN, MANIFEST, PROVENANCE
from pipeline.releasing.statement_types import VERDICT_FIELDS
from pipeline.verifying.finding import Note, listed
from pipeline.verifying.folder import Opened
from pipeline.verifying.gate_limits import recomputed
from pipeline.verifying.papers import failed, member, tables
from pipeline.verifying.policy import Policy

_WHERE = f"{PROVENANCE}:2"


def check_gates(release: Opened) -> str:
    """Judge every value by its limit anew. Raises ReleaseError for a verdict that its value does not allow.

    A gate that failed fails here too; what was not measured is counted, and is no pass.
    """
    results = _results(release)
    problems: list[str] = []
    again = 0
    for one in results:
        outcome, limit = member(one, "outcome", str, _WHERE), member(one, "limit", str, _WHERE)
        problems += _wrong(one, outcome)
        held = recomputed(outcome, one.get("value"), limit) if outcome in {"passed", "warned"} else None
        again += held is not None
        if held is False:
            problems.append(f"{_name(one)}: {outcome} with {one['value']}, but its limit is {limit!r}")
    problems += _counts(release, results)
    if problems:
        raise failed(listed(problems), _WHERE)
    count = Counter(str(one["outcome"]) for one in results)
    words = ", ".join(f"{count[outcome]} {outcome}" for outcome in reversed(OUTCOMES) if count[outcome])
    return f"{len(results)} verdicts: {words}; {again} made again from value and limit, the other limits are words"


def check_told_alike(release: Opened) -> str:
    """Hold the gate results against manifest and chain, verdict by verdict. Raises ReleaseError."""
    told: dict[str, list[dict[str, Any]]] = {}
    for one in _results(release):
        told.setdefault(member(one, "stage", str, _WHERE), []).append({name: one.get(name) for name in VERDICT_FIELDS})
    problems: list[str] = []
    for paper, value, key in ((MANIFEST, release.manifest, "gates"), (CHAIN, release.chain, "verdicts")):
        judged = {name: _verdicts(stage, key, paper) for name, stage in member(value, "stages", dict, paper).items()}
        stages = sorted({*told, *judged})
        problems += [
            f"{paper} and the gate results differ in {name}"
            for name in stages
            if told.get(name, []) != judged.get(name, [])
        ]
    if problems:
        raise failed(listed(problems), _WHERE)
    return f"gate results, {MANIFEST} and {CHAIN} tell the same verdicts of {len(told)} stages"


def check_waivers(release: Opened, policy: Policy | None) -> str | Note:
    """Return what was waived: a note where no policy says whether that is acceptable.

    Raises ReleaseError for one that a policy does not accept.
    """
    waived = [one for one in _results(release) if one.get("outcome") == "waived"]
    shown = [
        f"{_name(one)}: {one.get('value')} {one.get('unit')} (limit {one.get('limit')}), waived: {one.get('waiver')}"
        for one in waived
    ]
    if not waived:
        return "no gate was waived"
    if policy is None:
        return Note(f"{listed(shown)}. No policy says whether that is acceptable")
    refused = [
        words for one, words in zip(waived, shown, strict=True) if one.get("gate") not in policy.accepted_waivers
    ]
    if refused:
        raise failed(f"the policy does not accept {listed(refused)}", _WHERE)
    return f"{listed(shown)}. The policy accepts it"


def _results(release: Opened) -> list[dict[str, Any]]:
    return tables(release.statements.gate_results, "results", _WHERE)


def _verdicts(stage: Any, key: str, paper: str) -> list[dict[str, Any]]:
    return [{name: one.get(name) for name in VERDICT_FIELDS} for one in tables(stage, key, paper)]


def _wrong(one: dict[str, Any], outcome: str) -> list[str]:
    """Say what is wrong with an outcome by itself."""
    if outcome not in OUTCOMES:
        return [f"{_name(one)}: {outcome[:40]!r} is no verdict"]
    if outcome == "failed":
        return [f"{_name(one)} failed: {one.get('value')} {one.get('unit')}, limit {one.get('limit')}"]
    if (outcome == "not measured") != (one.get("value") is None):
        return [f"{_name(one)}: {outcome}, with the value {one.get('value')!r}"]
    if outcome == "waived" and not one.get("waiver"):
        return [f"{_name(one)} is waived without a reason"]
    return []


def _counts(release: Opened, results: list[dict[str, Any]]) -> list[str]:
    told = member(release.statements.gate_results, "counts", dict, _WHERE)
    counted = Counter(one.get("outcome") for one in results)
    return [
        f"{told.get(name)} verdicts are said to be {name}, {counted[name]} are"
        for name in OUTCOMES
        if told.get(name) != counted[name]
    ]


def _name(one: dict[str, Any]) -> str:
    return f"{str(one.get('stage'))[:60]}, {str(one.get('gate'))[:60]} ({str(one.get('subject'))[:60]})"
