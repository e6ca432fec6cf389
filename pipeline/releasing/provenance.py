"""The provenance: an in-toto statement with the SLSA provenance predicate, version 1.

docs/provenance.md says what each field holds. There is no time, path or host in it: two releases of one build say the
same.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.digest import digest_json
from pipeline.releasing.dependencies import resolved_dependencies
from pipeline.releasing.facts import ReleaseFacts
from pipeline.releasing.layout import CHAIN, MANIFEST, RECIPE
from pipeline.releasing.statement_types import SLSA_PROVENANCE, STATEMENT

BUILD_TYPE = "urn:fine-tune-pipeline:build:v1"
"""Documented in docs/provenance.md. A name and no address: it has to mean the same when a server is gone."""
BUILDER = "urn:fine-tune-pipeline:builder"
"""Followed by where the stages ran: `:local` or `:docker`. Which machine that was is nobody's business."""


def provenance(
    release: ReleaseFacts,
    papers: Mapping[str, str],
    repository: Path,
    images: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the statement. `papers` has the sha256 of `chain.json` and `manifest.json` as they lie in the folder."""
    return statement(
        release,
        SLSA_PROVENANCE,
        {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": _external(release),
                "internalParameters": _internal(release),
                "resolvedDependencies": resolved_dependencies(release, repository, images),
            },
            "runDetails": {
                "builder": {"id": f"{BUILDER}:{'docker' if images else 'local'}"},
                "metadata": {"invocationId": release.key},
                "byproducts": _byproducts(release, papers),
            },
        },
    )


def statement(release: ReleaseFacts, predicate_type: str, predicate: Mapping[str, Any]) -> dict[str, Any]:
    """Return an in-toto statement about every model file of a release."""
    subject = [{"name": one.name, "digest": {"sha256": one.sha256}} for one in release.files]
    return {"_type": STATEMENT, "subject": subject, "predicateType": predicate_type, "predicate": dict(predicate)}


def _external(release: ReleaseFacts) -> dict[str, Any]:
    """Return what the user decided: the recipe, as it was written and with its defaults."""
    return {
        "recipe": {
            "file": RECIPE,
            "sha256": release.recipe_sha256,
            "text": release.recipe_text.decode(),
            "resolved": release.recipe.model_dump(mode="json"),
        }
    }


def _internal(release: ReleaseFacts) -> dict[str, Any]:
    """Return what the pipeline decided: the variables that fix numerics, and what each environment is."""
    fixed: dict[str, str] = {}
    environments: dict[str, str] = {}
    for stage, manifest in release.manifests.items():
        fixed |= manifest.components.get("fixed", {})
        if "environment" in manifest.components:
            environments[stage] = digest_json(manifest.components["environment"])
    return {"variables": fixed, "environments": environments, "tools": dict(release.tools)}


def _byproducts(release: ReleaseFacts, papers: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the chain, and every file of every stage with the key it was made under."""
    found: list[dict[str, Any]] = [
        {"name": name, "digest": {"sha256": papers[name]}, "mediaType": "application/json"}
        for name in (CHAIN, MANIFEST)
    ]
    for stage, manifest in release.manifests.items():
        found += [
            {
                "name": f"{stage}/{entry.path}",
                "digest": {"sha256": entry.sha256},
                "annotations": {"stage": stage, "key": manifest.key},
            }
            for entry in manifest.files
        ]
    return found
