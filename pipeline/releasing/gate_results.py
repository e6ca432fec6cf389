"""The second statement of a release: what every gate measured, its limit and its verdict, and the waivers.

The predicate is this project's own; docs/provenance.md describes it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from pipeline.arguments import OUTCOMES
from pipeline.releasing.facts import ReleaseFacts
from pipeline.releasing.provenance import statement
from pipeline.releasing.statement_types import GATE_RESULTS, VERDICT_FIELDS


def gate_results(release: ReleaseFacts) -> dict[str, Any]:
    """Return the statement: every verdict in the order of the work, how many of each, every waiver of the recipe."""
    results = [
        {"stage": stage, **{name: verdict[name] for name in VERDICT_FIELDS}}
        for stage, manifest in release.manifests.items()
        for verdict in manifest.gates
    ]
    counted = Counter(result["outcome"] for result in results)
    predicate = {
        "release": release.key,
        "results": results,
        "counts": {outcome: counted[outcome] for outcome in OUTCOMES},
        "waivers": [{"gate": waiver.gate, "reason": waiver.reason} for waiver in release.recipe.waivers],
    }
    return statement(release, GATE_RESULTS, predicate)
