"""The release's bill of materials: CycloneDX 1.6 as JSON, with the model as its subject.

Written as plain JSON: the library has no model cards, and puts a time and itself into what it writes. It validates what
is written here (`tests/unit/releasing/test_bill_of_materials.py`), strictly.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

from pipeline.recipe_sources import HubBase, HubScorer, HubWeights
from pipeline.releasing.facts import ReleaseFacts
from pipeline.releasing.layout import FETCH_NOTES
from pipeline.releasing.materials import Component, hashes, licences, llama_cpp, packages, properties
from pipeline.releasing.statement_types import PROJECT
from pipeline.report.evaluation import difference_of, metrics_of

SPECIFICATION = "1.6"
MODEL, BASE, DATA = "model", "base-model", "data"
_BASE_FORM, _TUNED_FORM = "verify-base", "verify-hf"


def bill_of_materials(release: ReleaseFacts) -> str:
    """Return the bill: the same text for the same build, so no time; its number is made of the build's key."""
    found = [*_origins(release), *llama_cpp(), _project(release), *packages(release.manifests)]
    bill = {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPECIFICATION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, release.key)}",
        "version": 1,
        "metadata": {"lifecycles": [{"phase": "build"}], "component": _model(release)},
        "components": found,
        "dependencies": _dependencies(found),
    }
    return json.dumps(bill, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False) + "\n"


def _model(release: ReleaseFacts) -> Component:
    """Return the model with its card, and its files as parts of it."""
    recipe = release.recipe
    author = {"authors": [{"name": recipe.release.author}]} if recipe.release.author else {}
    return {
        "type": "machine-learning-model",
        "bom-ref": MODEL,
        "name": release.title,
        "version": recipe.release.version,
        "description": recipe.description,
        **author,
        **licences(recipe.release.licence or recipe.base.licence),
        "modelCard": _card(release),
        "components": [
            {
                "type": "file",
                "bom-ref": f"file/{one.name}",
                "name": one.name,
                "mime-type": "application/octet-stream",
                **hashes(one.sha256),
                **properties({"bytes": str(one.size), "type": one.kind}),
            }
            for one in release.files
        ],
        **properties({"release-key": release.key, "recipe-file-sha256": release.recipe_sha256, **_named(release)}),
    }


def _named(release: ReleaseFacts) -> dict[str, str]:
    """Return the digests and the UUID that every GGUF file holds."""
    told = release.artifacts.json("convert", "convert.json").get("metadata") or {}
    return {key: str(told[key]) for key in sorted(told) if key.endswith(".sha256") or key == "general.uuid"}


def _card(release: ReleaseFacts) -> Component:
    converted = release.artifacts.json("convert", "convert.json")
    architecture = {"architectureFamily": str(converted["architecture"])} if "architecture" in converted else {}
    metrics = list(_metrics(release))
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": "text-generation",
            **architecture,
            "datasets": [{"ref": DATA}],
            "inputs": [{"format": "text"}],
            "outputs": [{"format": "text"}],
        },
        **({"quantitativeAnalysis": {"performanceMetrics": metrics}} if metrics else {}),
        "considerations": {"technicalLimitations": [*limits(release)]},
    }


def limits(release: ReleaseFacts) -> Iterator[str]:
    """Give what a user has to know: nothing is guessed, each sentence is about this build."""
    rows = (release.artifacts.json("prepare", "funnel.json").get("splits") or {}).get("train")
    if rows:
        yield f"It learnt from {rows:,} rows, and was tried with the recipe's own prompt only."
    if isinstance(context := release.artifacts.json("preflight", "preflight.json").get("context_tokens"), int):
        longest = release.recipe.train.max_seq_tokens
        yield f"The longest training sample may hold {longest:,} tokens; the context of the base is {context:,}."
    if release.recipe.clean.language != "any":
        yield f"Answers were trained and judged in one language: {release.recipe.clean.language}."
    waived = sum(one["outcome"] == "waived" for _, one in release.artifacts.all_verdicts())
    if waived:
        yield f"{waived} checks failed and stand by a written exception."
    yield "Nothing here measures safety, bias or truthfulness beyond the facts that the data name."


def _metrics(release: ReleaseFacts) -> Iterator[Component]:
    """Give the tuned model's metrics on the held-out split, and how each differs from the base's, with its interval."""
    found = release.artifacts.json("evaluate", "evaluation.json")
    for name, metric in metrics_of(found) if found else ():
        value = metric["values"][_TUNED_FORM]["value"]
        if value is not None:
            yield {"type": name, "value": f"{value:g}", "slice": "held-out prompts, adapter"}
        one = difference_of(metric, _BASE_FORM, _TUNED_FORM)
        if one is not None and one["low"] is not None:
            bounds = {"lowerBound": f"{one['low']:g}", "upperBound": f"{one['high']:g}"}
            told = {"type": f"{name}, difference from the base", "value": f"{one['difference']:g}"}
            yield {**told, "slice": "held-out prompts, adapter", "confidenceInterval": bounds}


def _origins(release: ReleaseFacts) -> Iterator[Component]:
    """Give base model and data with their files, and what else was fetched."""
    recipe = release.recipe
    for stage, manifest in release.manifests.items():
        if not stage.startswith("fetch-"):
            continue
        files = [
            {"type": "file", "bom-ref": f"{stage}/{entry.path}", "name": entry.path, **hashes(entry.sha256)}
            for entry in manifest.files
            if entry.path not in FETCH_NOTES
        ]
        yield {**_origin(release, stage), **({"components": files} if files else {})}
    if "fetch-data" not in release.manifests:
        yield {"type": "data", "bom-ref": DATA, "name": recipe.data.source}


def _origin(release: ReleaseFacts, stage: str) -> Component:
    """Return what a stage fetched: a model from the hub by its package URL, anything else by its kind."""
    recipe = release.recipe
    if stage == "fetch-data":
        made = recipe.data.source != "files"
        dataset = {"type": "dataset", "name": recipe.data.source if made else "rows of the recipe"}
        return {"type": "data", "bom-ref": DATA, "name": dataset["name"], "data": [dataset], **_terms(release, stage)}
    hub = {"fetch-base": recipe.base, "fetch-training-base": getattr(recipe.base, "training", None)}
    found = recipe.evaluate.bertscore if stage == "fetch-scorer" else hub.get(stage)
    reference = BASE if stage == "fetch-base" else stage
    if isinstance(found, HubBase | HubWeights | HubScorer):
        from packageurl import PackageURL  # noqa: PLC0415 - a release only

        owner, name = found.repo.split("/")
        url = PackageURL("huggingface", owner, name, found.revision).to_string()
        told = {"name": name, "group": owner, "version": found.revision or "", "purl": url}
    else:
        told = {"name": recipe.base.source if stage == "fetch-base" else stage.removeprefix("fetch-")}
    model = stage in ("fetch-base", "fetch-training-base", "fetch-scorer")
    kind = {"type": "machine-learning-model" if model else "data", "bom-ref": reference}
    return {**kind, **told, **_terms(release, stage)}


def _terms(release: ReleaseFacts, stage: str) -> Component:
    """Return the licence of what a stage fetched, where one is known."""
    recipe = release.recipe
    scorer = recipe.evaluate.bertscore
    known = {"fetch-base": recipe.base.licence, "fetch-training-base": recipe.base.licence}
    known |= {"fetch-data": recipe.data.licence, **({"fetch-scorer": scorer.licence} if scorer else {})}
    return licences(known.get(stage, "unknown"))


def _project(release: ReleaseFacts) -> Component:
    return {
        "type": "application",
        "bom-ref": PROJECT,
        "name": PROJECT,
        "version": release.commit,
    }


def _dependencies(found: list[Component]) -> list[Component]:
    """Say what the model was made of and with; nothing is known of what those depend on."""
    return [{"ref": MODEL, "dependsOn": sorted(str(one["bom-ref"]) for one in found)}]
