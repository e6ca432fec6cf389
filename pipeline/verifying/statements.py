"""The two in-toto statements of a release, and what they are about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.releasing.layout import PROVENANCE
from pipeline.signing.envelope import open_envelope
from pipeline.verifying.finding import listed
from pipeline.verifying.folder import LINES, Opened
from pipeline.verifying.papers import failed, member, read_json, tables

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATES = ("https://slsa.dev/provenance/v1", "urn:fine-tune-pipeline:gate-results:v1")
"""Predicate type of each line (docs/provenance.md)."""


@dataclass(frozen=True)
class Statements:
    """The predicates, and for each statement name → sha256 of its subjects."""

    provenance: dict[str, Any]
    gate_results: dict[str, Any]
    subjects: tuple[dict[str, str], dict[str, str]]


def read_statements(release: Opened) -> Statements:
    """Read both statements. Raises ReleaseError, also where they are not of the two kinds in their order."""
    found = []
    subjects = []
    for at, envelope in enumerate(release.envelopes):
        where = f"{PROVENANCE}:{at + 1}"
        payload, _ = open_envelope(envelope, where)
        statement = read_json(payload, where)
        kinds = (member(statement, "_type", str, where), member(statement, "predicateType", str, where))
        if kinds != (STATEMENT, PREDICATES[at]):
            raise failed(f"{where} is {kinds[1][:80]!r}, not the {LINES[at]} ({PREDICATES[at]})", where)
        found.append(member(statement, "predicate", dict, where))
        subjects.append(_subjects(statement, where))
    return Statements(found[0], found[1], (subjects[0], subjects[1]))


def check_subjects(release: Opened) -> str:
    """Hold the subjects of both statements against the model files, both ways. Raises ReleaseError."""
    there = {name: release.entries[name].sha256 for name in release.models}
    problems: list[str] = []
    for what, subjects in zip(LINES, read_statements(release).subjects, strict=True):
        different = [name for name in sorted(there) if subjects.get(name, there[name]) != there[name]]
        problems += [f"the {what} is about another {name}" for name in different]
        problems += [f"the {what} is about {name}, which is missing" for name in _lacking(subjects, there, release)]
        problems += [f"the {what} says nothing of {name}" for name in sorted(set(there) - set(subjects))]
    if problems or not there:
        raise failed(listed(problems) or "the release holds no model", PROVENANCE)
    return f"{' and '.join(LINES)} are about {', '.join(sorted(there))}, by digest"


def _lacking(subjects: dict[str, str], there: dict[str, str], release: Opened) -> list[str]:
    return sorted(set(subjects) - set(there) - release.absent)


def _subjects(statement: Any, where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in tables(statement, "subject", where):
        name = member(one, "name", str, where)
        if name in found:
            raise failed(f"{where} names the subject {name[:80]!r} twice", where)
        found[name] = member(one, "digest/sha256", str, where)
    return found
