"""Write the release folder out of a recipe's last complete build (docs/release.md)."""

from __future__ import annotations

import argparse
import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.artifact import Manifest
from pipeline.context import Context, quiet
from pipeline.digest import FileEntry, canonical_json
from pipeline.environments import REPOSITORY
from pipeline.errors import ReleaseError
from pipeline.executors.table import backend_of, settings_of
from pipeline.fetching.copying import ByteProgress
from pipeline.files import explained
from pipeline.images.lock import image_name, read_lock
from pipeline.log import Sink
from pipeline.releasing import layout
from pipeline.releasing.checkout import Checkout, checkout_of
from pipeline.releasing.dependencies import images_used
from pipeline.releasing.facts import ReleasedFile, ReleaseFacts
from pipeline.releasing.gate_results import gate_results
from pipeline.releasing.last_build import LastBuild, last_build
from pipeline.releasing.models import bring, digest_of
from pipeline.releasing.papers import papers
from pipeline.releasing.provenance import PAYLOAD_TYPE, provenance
from pipeline.releasing.refusals import (
    Refusal,
    build_refusals,
    checkout_refusals,
    dependency_refusals,
    gate_refusals,
    image_refusals,
    licence_refusals,
    path_refusals,
    refuse,
)
from pipeline.releasing.splitting import split_gguf
from pipeline.releasing.staging import replaced
from pipeline.report.artifacts import Artifacts
from pipeline.runs import new_run_id
from pipeline.signing.signer import Signer, signer_of
from pipeline.stages.release import is_released
from pipeline.stages.report import settings_of as report_settings
from pipeline.store import Store
from pipeline.view import chain

STAGE = "release"
"""What a display calls the work of the command."""
_GIGABYTE = 10**9


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
        refusals = [*_refusals(context, options, build, checkout, repository, images), *_target_refusals(target)]
        _refuse(refusals, context, emit)
        signer = signer_of(options)
        emit("release.signing", stage=STAGE, **signer.describe())
        with replaced(target) as staging:
            work = _Work(context, store, build.manifests, checkout.commit, staging, emit)
            _fill(work, signer, repository, images_used(build.manifests, images))
    return target


def _refusals(
    context: Context,
    options: argparse.Namespace,
    build: LastBuild,
    checkout: Checkout,
    repository: Path,
    images: Mapping[str, Mapping[str, Any]],
) -> Iterator[Refusal]:
    """Give everything that can be known before a large file is read."""
    recipe, file = context.recipe, str(context.path)
    settings = settings_of(options)
    wanted = [
        image_name(name, settings.docker.variants.get(name, "cpu"))  # type: ignore[call-overload]
        for name in ("training", "inference")
        if settings.executor == "docker"
    ]
    yield from checkout_refusals(checkout, repository)
    yield from licence_refusals(recipe, file)
    yield from path_refusals(recipe, file)
    yield from gate_refusals(build, allow_waived=options.allow_waived)
    yield from dependency_refusals(build.manifests, recipe, file)
    used = {name: entry for name, entry in images.items() if name in wanted} | images_used(build.manifests, images)
    yield from image_refusals(used, repository / "lockfiles" / "images.lock")
    yield from build_refusals(build, recipe.name, options.recipe)


def _target_refusals(target: Path) -> Iterator[Refusal]:
    """Refuse to replace what is no release."""
    if target.exists() and not target.is_dir():
        yield Refusal("there is a file where the release folder would be", str(target), "name another with --to DIR")
    elif target.is_dir():
        foreign = sorted(path.name for path in target.iterdir() if path.name not in _NAMES and not _is_model(path))
        if foreign:
            what = f"the folder would be replaced, and it holds what no release wrote: {foreign[0]}"
            yield Refusal(what, str(target), "name another with --to DIR, or move these files away")


_NAMES = {
    *(layout.CHAIN, layout.MANIFEST, *layout.REPORTS, layout.MODEL_CARD, layout.LICENCE_TEXT, layout.MODELFILE),
    *(
        layout.RECIPE,
        layout.BILL_OF_MATERIALS,
        layout.PROVENANCE,
        layout.CHECKSUMS,
        layout.PUBLIC_KEY,
        layout.SIGNATURE,
    ),
}


def _is_model(path: Path) -> bool:
    return path.is_file() and layout.is_model(path.name)


def _refuse(refusals: list[Refusal], context: Context, emit: Callable[..., None]) -> None:
    if refusals:
        emit("release.refused", stage=STAGE, recipe=context.recipe.name, reasons=[one.to_json() for one in refusals])
    refuse(refusals, context.recipe.name)


@dataclass
class _Work:
    """A release that is being written into `staging`; `sums` fills with the sha256 of every file."""

    context: Context
    store: Store
    manifests: Mapping[str, Manifest]
    commit: str
    staging: Path
    emit: Callable[..., None]
    sums: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, data: bytes) -> None:
        """Write one file."""
        with explained(self.staging):
            path = self.staging / name
            path.write_bytes(data)
            path.chmod(0o444)  # a reminder: what is edited is no longer what was signed
        self.sums[name] = hashlib.sha256(data).hexdigest()

    def progress(self, what: str, total: int) -> ByteProgress:
        """Return a counter of bytes that tells as `release.<what>`."""
        return ByteProgress(lambda _event, **data: self.emit(f"release.{what}", stage=STAGE, **data), total)


def _fill(work: _Work, signer: Signer, repository: Path, images: Mapping[str, Mapping[str, Any]]) -> None:
    """Write every file, and seal the folder."""
    files = _bring_models(work)
    small = _stored_papers(work)
    tools = work.manifests["release"].tools
    whole = chain(work.context.recipe, work.manifests, tools)
    facts = ReleaseFacts(
        recipe=work.context.recipe,
        recipe_text=work.context.path.read_bytes(),
        manifests=work.manifests,
        chain=whole,
        artifacts=_artifacts(work),
        files=files,
        tools=tools,
        commit=work.commit,
    )
    written = {**small, layout.MANIFEST: canonical_json(whole), layout.RECIPE: facts.recipe_text, **papers(facts)}
    for name, data in written.items():
        work.write(name, data)
    statements = (provenance(facts, work.sums, repository, images), gate_results(facts))
    envelopes = [signer.envelope(canonical_json(one), PAYLOAD_TYPE) for one in statements]
    work.write(layout.PROVENANCE, b"".join(canonical_json(envelope) + b"\n" for envelope in envelopes))
    for name, data in signer.public_files().items():
        work.write(name, data)
    lines = [f"{work.sums[name]}  {name}\n" for name in sorted(work.sums)]
    work.write(layout.CHECKSUMS, "".join(lines).encode())
    signer.seal(work.staging)


def _bring_models(work: _Work) -> tuple[ReleasedFile, ...]:
    """Bring the GGUF files into the folder, each read whole and held against its manifest, large ones in parts.

    Raises ReleaseError that names every damaged file.
    """
    limit = round(work.context.recipe.release.split_gb * _GIGABYTE)
    listed = [(name, entry) for name in _model_stages(work) for entry in work.manifests[name].files]
    models = [(name, entry) for name, entry in listed if is_released(entry.path)]
    total = sum(entry.size for _, entry in models)
    copying, hashing = work.progress("copying", total), work.progress("hashing", total)
    damaged: list[tuple[str, FileEntry]] = []
    brought: list[Path] = []
    with explained(work.staging):
        for stage, entry in models:
            source = work.store.folder(work.manifests[stage]) / entry.path
            paths = [work.staging / entry.path]
            if entry.size <= limit:
                bring(source, paths[0], copying)
            if digest_of(source if entry.size > limit else paths[0], hashing) != entry.sha256:
                damaged.append((stage, entry))
            elif entry.size > limit:
                paths = _in_parts(work, source, limit)
            brought += paths
    _refuse_damaged(work, damaged)
    return tuple(_released(work, path, {entry.path: entry for _, entry in models}) for path in brought)


def _model_stages(work: _Work) -> list[str]:
    plan = work.context.plan
    return [name for name in work.manifests if plan[name].family in {"convert", "quantize"}]


def _in_parts(work: _Work, source: Path, limit: int) -> list[Path]:
    def told(done: int, total: int) -> None:
        work.emit("release.splitting", stage=STAGE, file=source.name, done=done, total=total)

    return split_gguf(source, work.staging, source.stem, limit, told)


def _released(work: _Work, path: Path, known: Mapping[str, FileEntry]) -> ReleasedFile:
    """Describe a model's file; a part has a digest of its own."""
    size = path.stat().st_size
    whole = known.get(path.name)
    sha256 = whole.sha256 if whole is not None else digest_of(path, work.progress("hashing", size))
    work.sums[path.name] = sha256
    return ReleasedFile(path.name, size, sha256, layout.model_kind(path.name))


def _stored_papers(work: _Work) -> dict[str, bytes]:
    """Return chain and report as their stages published them: without the speeds of this machine."""
    found: dict[str, bytes] = {}
    damaged: list[tuple[str, FileEntry]] = []
    for stage, names in (("release", (layout.CHAIN,)), ("report", layout.REPORTS)):
        manifest = work.manifests[stage]
        for entry in manifest.files:
            if entry.path in names:
                with explained(work.store.root):
                    found[entry.path] = (work.store.folder(manifest) / entry.path).read_bytes()
                if hashlib.sha256(found[entry.path]).hexdigest() != entry.sha256:
                    damaged.append((stage, entry))
    _refuse_damaged(work, damaged)
    return found


def _refuse_damaged(work: _Work, damaged: list[tuple[str, FileEntry]]) -> None:
    """Refuse files that are not what their manifests say; the next run looks at them, whatever their times say."""
    for stage, _ in damaged:
        work.store.distrust(work.manifests[stage])
        shutil.rmtree(work.context.build / "unchanged", ignore_errors=True)
    advice = "run the recipe again: what is damaged is set aside and built anew"
    refusals = [
        Refusal(f"{stage}/{entry.path} is damaged: it is not what its manifest says", f"stage {stage}", advice)
        for stage, entry in damaged
    ]
    _refuse(refusals, work.context, work.emit)


def _artifacts(work: _Work) -> Artifacts:
    """Return what the papers may read of the stages."""
    manifests = work.manifests
    return Artifacts(
        folders={name: work.store.folder(manifest) for name, manifest in manifests.items()},
        digests={name: {entry.path: entry.sha256 for entry in item.files} for name, item in manifests.items()},
        verdicts={name: manifest.gates for name, manifest in manifests.items()},
        settings=report_settings(work.context.recipe),
    )
