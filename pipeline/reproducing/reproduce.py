"""From a release folder to a verdict: check the papers, check out, build in fresh folders, compare."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.artifact import Manifest
from pipeline.digest import digest_file
from pipeline.errors import CorruptArtifactError, PipelineError, StageError, UsageError, VendorError
from pipeline.files import explained, locked
from pipeline.releasing.layout import CHECKSUMS
from pipeline.reproducing.building import (
    Ended,
    Workshop,
    build,
    built_manifests,
    difference,
    make_host_environment,
    take_wheels,
)
from pipeline.reproducing.checkout import check_locks, check_out
from pipeline.reproducing.evidence import Stores, look_closer
from pipeline.reproducing.hub_files import hub_cache
from pipeline.reproducing.inputs import find_file, place, recipe_folder, wanted_files
from pipeline.reproducing.judgement import judge
from pipeline.reproducing.materials import Materials, read_materials
from pipeline.reproducing.release import Release
from pipeline.reproducing.reproduction import Problem, Reproduction
from pipeline.reproducing.work_folder import check_claim, claim
from pipeline.runs import state_file
from pipeline.store import Store

Emit = Callable[..., None]


@dataclass(frozen=True)
class Order:
    """What a reproduction is asked to do.

    `source` is the git repository that has the commit, `places` are where the user's files are looked for, `store` one
    that may still hold what was released. `archive` is llama.cpp's archive where the user names it. `run_options` go to
    the run as they are. `archives` are folders in which an archive may lie.
    """

    work: Path
    source: str
    store: Store
    places: tuple[Path, ...] = ()
    archive: Path | None = None
    archives: tuple[Path, ...] = ()
    run_options: tuple[str, ...] = ()
    fresh: bool = False
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Note how long a step took."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[step] = time.monotonic() - started


def reproduce(release: Release, order: Order, emit: Emit, pass_on: Callable[[Mapping[str, Any]], None]) -> Reproduction:
    """Build a release again from its papers, and judge. What an earlier call left in the work folder is gone on from.

    Raises PipelineError for what keeps it from being built; that something differs is no error here.
    """
    materials = read_materials(release)
    check_claim(release, order.work)  # before the lock, which would be left in somebody else's folder
    with explained(order.work), locked(order.work / ".lock"):
        claim(release, order.work, fresh=order.fresh)
        with order.timed("checkout"):
            checkout = check_out(order.source, materials.commit, order.work / "checkout", emit)
            check_locks(checkout, materials.locks)
        with order.timed("inputs"):
            workshop = _workshop(release, materials, order, checkout, emit)
        reused = _reuse(workshop, materials)
        with order.timed("environments"):
            make_host_environment(workshop, emit)
        # What an earlier run settled is taken over by this one, or is not its result: after a failure only the state
        # tells them apart. The store stays.
        state_file(workshop.build, release.recipe_name).unlink(missing_ok=True)
        with order.timed("build"):
            ended = build(workshop, order.run_options, pass_on)
        return against(release, workshop, order, ended, reused=reused)


def against(
    release: Release, workshop: Workshop, order: Order, ended: Ended, *, reused: Mapping[str, str] | None = None
) -> Reproduction:
    """Judge the build that lies in a workshop, every byte of it hashed.

    Raises the run's own error where it stopped and nothing that it settled differs, CorruptArtifactError for damage.
    """
    recipe = release.recipe_name
    built = built_manifests(workshop.build, recipe)
    if not built:
        if ended.code:
            raise error_of(ended)
        message = f"nothing of {recipe!r} has been built in {workshop.build}"
        raise UsageError(message, where=str(workshop.build), advice="build it first, or leave out --against")
    store = Store((workshop.build / "store").absolute())
    with order.timed("comparison"):
        _check_bytes(store, built)
        judgement = judge(release.manifests, built)
        if judgement.verdict != "differs" and ended.code:
            raise error_of(ended)
        compare = lambda first, second: difference(workshop, first, second)  # noqa: E731
        again = Store(order.work / "build" / "store")  # of an earlier call that built the release
        closer = look_closer(release, judgement, built, Stores((order.store, again), store), compare)
    return Reproduction(
        recipe=recipe,
        sums_sha256=digest_file(release.folder / CHECKSUMS),
        commit=read_materials(release).commit,
        judgement=judgement,
        closer=tuple(closer),
        seconds=order.seconds,
        reused=reused or {},
        problem=Problem(ended.code, _family(ended).__name__, error_of(ended).what) if ended.code else None,
    )


def error_of(ended: Ended) -> PipelineError:
    """Return the error with which a run ended, of the family that its exit code names."""
    family = _family(ended)
    told = {name: str(ended.problem.get(name, "")) for name in ("what", "where", "advice")}
    return family(f"the build stopped: {told['what']}", where=told["where"], advice=told["advice"])


def _family(ended: Ended) -> type[PipelineError]:
    return {one.exit_code: one for one in _families(PipelineError)}.get(ended.code, StageError)


def _families(family: type[PipelineError]) -> Iterator[type[PipelineError]]:
    for one in family.__subclasses__():
        if "exit_code" in vars(one):  # a special case of a family has no code of its own
            yield one
        yield from _families(one)


def _workshop(release: Release, materials: Materials, order: Order, checkout: Path, emit: Emit) -> Workshop:
    """Lay out the recipe and what it reads. Raises FetchError, VendorError."""
    wanted = wanted_files(release.recipe_table, materials.outside)
    folder = recipe_folder(order.work / "inputs", wanted)
    folder.mkdir(parents=True, exist_ok=True)
    places = (*order.places, release.folder, checkout / "pipeline" / "recipes")
    place(wanted, folder, places, emit)
    target = folder / "recipe.toml"
    shutil.copyfile(release.recipe, target)
    hub = hub_cache(release, order.work / "hub", order.places, emit)
    archive = _archive(materials, order, emit)
    return Workshop(checkout, target, order.work / "build", archive, hub, fresh=order.fresh)


def _archive(materials: Materials, order: Order, emit: Emit) -> Path | None:
    """Return llama.cpp's archive where it is at hand; None lets the build fetch it, by the same digest."""
    if order.archive is not None:
        found = digest_file(order.archive) if order.archive.is_file() else "no file"
        if found != materials.archive_sha256:
            message = (
                f"this is not the llama.cpp archive of the release: expected {materials.archive_sha256}, found {found}"
            )
            raise VendorError(message, where=str(order.archive), advice="leave out --archive to have it fetched")
        return order.archive.absolute()
    there = [path for folder in order.archives for path in sorted(folder.glob("llama_cpp_python-*.tar.gz"))]
    found_one = find_file(materials.archive_sha256, None, there, emit)
    return found_one.absolute() if found_one is not None else None


def _reuse(workshop: Workshop, materials: Materials) -> dict[str, str]:
    """Take over what need not be made again because its digest is the release's; return name → digest."""
    found = {}
    if workshop.archive is not None:
        found["llama.cpp archive"] = materials.archive_sha256
    if not workshop.fresh and take_wheels(workshop, materials.wheel_sha256):
        found["compiled llama.cpp"] = materials.wheel_sha256
    return found


def _check_bytes(store: Store, built: Mapping[str, Manifest]) -> None:
    damaged = [f"{name}/{one}" for name, manifest in built.items() for one in store.damage(manifest, rehash=True)]
    if damaged:
        message = "what was built is damaged:\n    " + "\n    ".join(damaged)
        raise CorruptArtifactError(message, where=str(store.root), advice="run again: it is set aside and built anew")
