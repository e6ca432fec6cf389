"""What a build stands on, each thing by its digest: the `resolvedDependencies` of its provenance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llama_cpp_vendor.pin import read_pin
from pipeline.artifact import Manifest
from pipeline.digest import digest_file
from pipeline.environments import LOCKS
from pipeline.images.lock import LLAMA_CPP, image_name
from pipeline.recipe import Recipe
from pipeline.recipe_sources import HubBase, HubScorer, HubWeights
from pipeline.releasing.facts import ReleaseFacts
from pipeline.releasing.layout import FETCH_NOTES
from pipeline.releasing.statement_types import PROJECT
from pipeline.settings import RunSettings

Descriptor = dict[str, Any]
"""An in-toto ResourceDescriptor as JSON."""

_BUILD_LOCKS = ("host", "build")
"""Locks that every local build uses beside its environments' own: the pipeline's, and what compiles llama.cpp."""


def resolved_dependencies(
    release: ReleaseFacts, repository: Path, images: Mapping[str, Mapping[str, Any]]
) -> list[Descriptor]:
    """Return every dependency, sorted by name. `images` are the lock's entries of the images that stages ran in."""
    found = [
        {"name": PROJECT, "digest": {"gitCommit": release.commit}},
        *_llama_cpp(),
        *_fetched(release),
        *_images(images),
        *_locks(release, repository, images),
    ]
    return sorted(found, key=lambda one: str(one["name"]))


def images_used(
    manifests: Mapping[str, Manifest], entries: Mapping[str, Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """Return the entries of the lock whose images stages ran in: a local build has none."""
    ids = {manifest.components.get("environment", {}).get("image") for manifest in manifests.values()}
    return {name: entry for name, entry in entries.items() if entry.get("id") in ids - {None}}


def images_wanted(settings: RunSettings, entries: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the entries of the lock that stages would run in now, by the run settings."""
    if settings.executor != "docker":
        return {}
    variants = {str(name): value for name, value in settings.docker.variants.items()}
    names = [image_name(name, variants.get(name, "cpu")) for name in LOCKS]
    return {name: entries[name] for name in names if name in entries}


def _llama_cpp() -> Iterator[Descriptor]:
    pin = read_pin()
    yield {
        "name": pin.file,
        "uri": f"pkg:pypi/{pin.project.replace('_', '-')}@{pin.version}",
        "digest": {"sha256": pin.sha256},
        "annotations": {"holds": "llama.cpp", "treeSha256": pin.tree_sha256},
    }
    yield {
        "name": "llama.cpp",
        "uri": f"pkg:github/ggml-org/llama.cpp@{pin.commit}",
        "digest": {"gitCommit": pin.commit},
    }


def _fetched(release: ReleaseFacts) -> Iterator[Descriptor]:
    """Give the files of the stages that fetch: data, base model, and what else the recipe names."""
    for stage, manifest in release.manifests.items():
        if not stage.startswith("fetch-"):
            continue
        origin = _origin(release.recipe, stage)
        for entry in manifest.files:
            if entry.path in FETCH_NOTES:
                continue
            one: Descriptor = {"name": f"{stage}/{entry.path}", "digest": {"sha256": entry.sha256}}
            if isinstance(origin, HubBase | HubWeights | HubScorer):
                one["uri"] = f"pkg:huggingface/{origin.repo}@{origin.revision}#{entry.path}"
                one["annotations"] = {"repository": origin.repo, "revision": origin.revision}
            elif origin == "made":
                one["annotations"] = {"origin": "made by this build from the recipe's seed"}
            yield one


def _origin(recipe: Recipe, stage: str) -> HubBase | HubWeights | HubScorer | str:
    """Return where a stage's files came from: a place on the hub, `made` by the pipeline itself, or `given`."""
    if stage == "fetch-scorer" and isinstance(recipe.evaluate.bertscore, HubScorer):
        return recipe.evaluate.bertscore
    if isinstance(recipe.base, HubBase):
        if stage == "fetch-base":
            return recipe.base
        if stage == "fetch-training-base" and recipe.base.training is not None:
            return recipe.base.training
    source = {"fetch-base": recipe.base.source, "fetch-data": recipe.data.source}.get(stage, "")
    return "made" if source.startswith("seedling") else "given"


def _images(images: Mapping[str, Mapping[str, Any]]) -> Iterator[Descriptor]:
    for name, entry in images.items():
        one: Descriptor = {"name": f"image/{name}", "digest": {"sha256": str(entry["id"]).removeprefix("sha256:")}}
        notes = {"manifest": entry.get("manifest", ""), "llamaCpp": entry.get("labels", {}).get(LLAMA_CPP, "")}
        one["annotations"] = {key: value for key, value in notes.items() if value}
        yield one


def _locks(release: ReleaseFacts, repository: Path, images: Mapping[str, Mapping[str, Any]]) -> Iterator[Descriptor]:
    """Give the lock files that the build used: of its environments, and of its images where it had any."""
    environments = [manifest.components.get("environment") for manifest in release.manifests.values()]
    names = {f"{name}.txt" for name in _BUILD_LOCKS}
    if any(found and "image" not in found for found in environments):
        names |= {f"{lock}.txt" for lock in LOCKS.values()}
    if images:
        names |= {"images.lock", *(path.name for path in (repository / "lockfiles").glob("debian-*.lock"))}
    for name in names:
        yield {"name": f"lockfiles/{name}", "digest": {"sha256": digest_file(repository / "lockfiles" / name)}}
