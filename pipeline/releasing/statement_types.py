"""Names in the two statements of a release: what is written into them is what a verifier looks for.

Standard library only. docs/provenance.md describes them.
"""

from __future__ import annotations

STATEMENT = "https://in-toto.io/Statement/v1"
SLSA_PROVENANCE = "https://slsa.dev/provenance/v1"
"""Predicate type of the provenance."""
GATE_RESULTS = "urn:fine-tune-pipeline:gate-results:v1"
"""Predicate type of the gate results. A name and no address: it has to mean the same when a server is gone."""
VERDICT_FIELDS = ("gate", "subject", "value", "unit", "limit", "outcome", "source", "cause", "waiver")
"""What is told of a verdict. Evidence is not: it may quote rows."""
PROJECT = "fine-tune-pipeline"
"""What the provenance's dependency and the bill's component call this project."""
