"""Write the release folder out of a recipe's last complete build (docs/release.md)."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.context import Context, quiet
from pipeline.digest import FileEntry, canonical_json
from pipeline.environments import REPOSITORY
from pipeline.executors.table import backend_of, settings_of
from pipeline.files import explained
from pipeline.images.lock import read_lock
from pipeline.log import Sink
from pipeline.releasing import layout, refusals
from pipeline.releasing.checkout import Checkout, checkout_of
from pipeline.releasing.dependencies import images_used, images_wanted
from pipeline.releasing.facts import ReleasedFile, ReleaseFacts
from pipeline.releasing.gate_results import gate_results
from pipeline.releasing.last_build import LastBuild, last_build
from pipeline.releasing.models import bring_models
from pipeline.releasing.papers import papers
from pipeline.releasing.provenance import provenance
from pipeline.releasing.refusals import STAGE, Refusal, tell_and_refuse
from pipeline.releasing.staging import replaced
from pipeline.releasing.target import target_refusals
from pipeline.releasing.work import Work
from pipeline.report.artifacts import Artifacts
from pipeline.runs import new_run_id
from pipeline.signing.signer import Signer, signer_of
from pipeline.stages.report import settings_of as report_settings
from pipeline.view import chain

Images = Mapping[str, Mapping[str, Any]]
"""Entries of the lock of the images, by name."""


def write_release(
    context: Context, options: argparse.Namespace, sinks: list[Sink], *, repository: Path = REPOSITORY
) -> Path:
    """Write the folder and return it; the old one stays until the new one is whole.

    Raises ReleaseError, which tells all that stands against it, StoreError for a disk, and what the signer raises.
    `repository` is the checkout whose code and locks built it.
    """
    emit, store = quiet(sinks), context.store(new_run_id())
    target = (options.to or context.folder / "release").resolve()
    emit("release.started", stage=STAGE, summary="looking at the last build")
    with store.opened():
        build, checkout = last_build(context, backend_of(options, emit).environments), checkout_of(repository)
        images = read_lock(repository / "lockfiles" / "images.lock")
        found = [*_refusals(context, options, build, checkout, images, repository), *target_refusals(target)]
        tell_and_refuse(found, context.recipe.name, emit)
        signer = signer_of(options)
        emit("release.signing", stage=STAGE, **signer.describe())
        with replaced(target) as staging:
            work = Work(context, store, build.manifests, staging, emit)
            _fill(work, signer, checkout.commit, images_used(build.manifests, images), repository)
            tell_and_refuse(_since(checkout, repository, target), context.recipe.name, emit)
    emit("release.finished", stage=STAGE, folder=str(target))
    return target


def _refusals(
    context: Context,
    options: argparse.Namespace,
    build: LastBuild,
    checkout: Checkout,
    images: Images,
    repository: Path,
) -> Iterator[Refusal]:
    """Give everything that can be known before a large file is read."""
    recipe, file = context.recipe, str(context.path)
    used = images_wanted(settings_of(options), images) | images_used(build.manifests, images)
    yield from refusals.checkout_refusals(checkout, repository)
    yield from refusals.licence_refusals(recipe, file)
    yield from refusals.path_refusals(recipe, file)
    yield from refusals.gate_refusals(build, allow_waived=options.allow_waived)
    yield from refusals.dependency_refusals(build.manifests, recipe, file)
    yield from refusals.image_refusals(used, repository / "lockfiles" / "images.lock")
    yield from refusals.build_refusals(build, recipe.name, options.recipe)


def _since(checkout: Checkout, repository: Path, target: Path) -> Iterator[Refusal]:
    """Look again at what the release stands on and what it replaces: minutes have passed since the first look."""
    now = checkout_of(repository)
    if now.commit and now.commit != checkout.commit:
        what = f"another commit was checked out meanwhile: {now.commit[:12]}, not {checkout.commit[:12]}"
        yield Refusal(what, str(repository), "leave the clone as it is until the release is written")
    yield from refusals.checkout_refusals(now, repository)
    yield from target_refusals(target)


def _fill(work: Work, signer: Signer, commit: str, images: Images, repository: Path) -> None:
    """Write every file, and seal the folder."""
    facts = _facts(work, bring_models(work), commit)
    for name, data in {
        **_published(work),
        layout.MANIFEST: canonical_json(facts.chain),
        layout.RECIPE: facts.recipe_text,
        **papers(facts),
    }.items():
        work.write(name, data)
    statements = (provenance(facts, work.sums, repository, images), gate_results(facts))
    envelopes = [signer.envelope(canonical_json(one)) for one in statements]
    work.write(layout.PROVENANCE, b"".join(canonical_json(envelope) + b"\n" for envelope in envelopes))
    for name, data in signer.public_files().items():
        work.write(name, data)
    lines = [f"{work.sums[name]}  {name}\n" for name in sorted(work.sums)]
    work.write(layout.CHECKSUMS, "".join(lines).encode())
    work.refuse_changed()
    signer.seal(work.staging, work.sums)


def _facts(work: Work, files: tuple[ReleasedFile, ...], commit: str) -> ReleaseFacts:
    """Return what the papers are written from."""
    recipe, manifests = work.context.recipe, work.manifests
    tools = manifests["release"].tools
    artifacts = Artifacts(
        folders={name: work.store.folder(manifest) for name, manifest in manifests.items()},
        digests={name: {entry.path: entry.sha256 for entry in item.files} for name, item in manifests.items()},
        verdicts={name: manifest.gates for name, manifest in manifests.items()},
        settings=report_settings(recipe),
    )
    return ReleaseFacts(
        recipe=recipe,
        recipe_text=work.context.source,
        manifests=manifests,
        chain=chain(recipe, manifests, tools),
        artifacts=artifacts,
        files=files,
        tools=tools,
        commit=commit,
    )


def _published(work: Work) -> dict[str, bytes]:
    """Return chain and report as their stages published them: without the speeds of this machine.

    Raises ReleaseError for a damaged one.
    """
    found: dict[str, bytes] = {}
    damaged: list[tuple[str, FileEntry]] = []
    for stage, names in (("release", (layout.CHAIN,)), ("report", layout.REPORTS)):
        manifest = work.manifests[stage]
        for entry in manifest.files:
            if entry.path in names:
                with explained(work.store.root):
                    data = (work.store.folder(manifest) / entry.path).read_bytes()
                found[entry.path] = data
                if hashlib.sha256(data).hexdigest() != entry.sha256:
                    damaged.append((stage, entry))
    work.refuse_damaged(damaged)
    return found
