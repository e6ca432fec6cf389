"""The two in-toto statements of a release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.releasing.layout import PROVENANCE
from pipeline.releasing.statement_types import GATE_RESULTS, SLSA_PROVENANCE, STATEMENT
from pipeline.signing.envelope import open_envelope
from pipeline.verifying.papers import failed, member, read_json, tables

LINES = ("provenance", "gate results")
"""What the two lines of the provenance hold."""
_PREDICATES = (SLSA_PROVENANCE, GATE_RESULTS)


@dataclass(frozen=True)
class Statements:
    """The predicates, and for each statement name → sha256 of its subjects."""

    provenance: dict[str, Any]
    gate_results: dict[str, Any]
    subjects: tuple[dict[str, str], dict[str, str]]


def read_statements(envelopes: list[Any]) -> Statements:
    """Read both statements. Raises ReleaseError, also where they are not of the two kinds in their order."""
    found = []
    subjects = []
    for at, envelope in enumerate(envelopes):
        where = f"{PROVENANCE}:{at + 1}"
        payload, _ = open_envelope(envelope, where)
        statement = read_json(payload, where)
        kinds = (member(statement, "_type", str, where), member(statement, "predicateType", str, where))
        if kinds != (STATEMENT, _PREDICATES[at]):
            raise failed(f"{where} is {kinds[1][:80]!r}, not the {LINES[at]} ({_PREDICATES[at]})", where)
        found.append(member(statement, "predicate", dict, where))
        subjects.append(_subjects(statement, where))
    return Statements(found[0], found[1], (subjects[0], subjects[1]))


def _subjects(statement: Any, where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in tables(statement, "subject", where):
        name = member(one, "name", str, where)
        if name in found:
            raise failed(f"{where} names the subject {name[:80]!r} twice", where)
        found[name] = member(one, "digest/sha256", str, where)
    return found
