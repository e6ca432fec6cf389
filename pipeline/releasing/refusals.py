"""What stands against a release. All of it is told at once, each with what to do."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.artifact import Manifest
from pipeline.errors import ReleaseError
from pipeline.forecast import Forecast
from pipeline.recipe import Recipe
from pipeline.recipe_sources import FolderBase, HubBase
from pipeline.releasing.checkout import Checkout
from pipeline.releasing.last_build import LastBuild

STAGE = "release"
"""What a display calls the work of the command."""
_SHOWN = 5
"""Names that a message lists before it counts the others."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\b")
_UNKNOWN = {"unknown", "noassertion", "none", "other"}
"""What stands in a recipe, or on a hub, where nobody knows the licence."""
_INTERPRETER = "python"
"""The one component of an environment that counts by its version: no registry gives an interpreter a digest."""


@dataclass(frozen=True)
class Refusal:
    """One reason: what is wrong, where, and what to do about it."""

    what: str
    where: str
    advice: str

    def to_json(self) -> dict[str, str]:
        """Return it for a machine."""
        return asdict(self)


def checkout_refusals(checkout: Checkout, repository: Path) -> Iterator[Refusal]:
    """Refuse code of which nobody could say later what it was."""
    if checkout.problem:
        yield Refusal(
            f"the project's commit is not known: {checkout.problem}",
            str(repository),
            "release from a git clone of the project, which its papers then name by its commit",
        )
    if checkout.changes:
        yield Refusal(
            f"the project's files are not those of commit {checkout.commit[:12]}: {_few(checkout.changes)}",
            str(repository),
            "commit or undo the changes, run the recipe again, then release; keep a recipe of your own outside of the"
            " folder pipeline/",
        )


def build_refusals(build: LastBuild, recipe: str, argument: str) -> Iterator[Refusal]:
    """Refuse a build that is not there, not complete, damaged, or not what the recipe and the code would give now."""
    run = f"python -m pipeline run --recipe {shlex.quote(argument)}"
    if build.problem is not None:
        what, where = f"the build cannot be looked at: {build.problem.what}", build.problem.where
        yield Refusal(what, where, f"{build.problem.advice}; then run the recipe")
        return
    wanting = [item for item in build.found if item.state not in {"up to date", "gate failed"}]
    if not wanting:
        return
    if not build.manifests:
        yield Refusal(f"{recipe} has not been built in this build folder", f"recipe {argument}", run)
        return
    for item in wanting:
        if item.state == "damaged":
            yield Refusal(f"a file was changed since it was built: {item.reasons[0]}", f"stage {item.stage}", run)
    for item in wanting:
        if item.state in _UNBUILT and not _is_behind(item):
            reason = f": {item.reasons[0]}" if item.reasons else ""
            what = f"the build is not complete: {item.stage} {_UNBUILT[item.state]}{reason}"
            yield Refusal(what, f"stage {item.stage}", run)


_UNBUILT = {"changed": "is out of date", "missing": "has not been built", "unknown": "cannot be looked at"}
"""State of a forecast → how it is told."""


def _is_behind(item: Forecast) -> bool:
    """Tell whether a stage only waits for another one, which is told of itself."""
    return item.state == "unknown" and item.reasons[0].endswith("is to be built first")


def gate_refusals(build: LastBuild, *, allow_waived: bool) -> Iterator[Refusal]:
    """Refuse what a gate stopped; and what it would have stopped but for a waiver, unless that is allowed."""
    for item in build.reviews:
        for verdict in item.verdicts:
            where = f"stage {item.stage}, {verdict.subject}"
            if verdict.outcome == "failed":
                told = f"{verdict.gate} failed: {verdict.cause or f'{verdict.value} {verdict.unit}'.strip()}"
                yield Refusal(told, where, verdict.advice or "python -m pipeline gates --only failed --verbose")
            elif verdict.outcome == "waived" and not allow_waived:
                yield Refusal(
                    f"{verdict.gate} is waived: {verdict.waiver}",
                    where,
                    "mend what the gate found; or release all the same with --allow-waived: the papers then hold the"
                    " exception and its reason",
                )


def licence_refusals(recipe: Recipe, file: str) -> Iterator[Refusal]:
    """Refuse a model that nobody could know the terms of."""
    release = recipe.release.licence
    if release is None or not release.strip() or release.strip().lower() in _UNKNOWN:
        yield Refusal(
            "the released model has no licence",
            f"{file}, [release] licence",
            'say under which terms it is given, as an SPDX expression: licence = "Apache-2.0", or "LicenseRef-…" with a'
            " name of your own",
        )
    for part, what in (("base", recipe.base.licence), ("data", recipe.data.licence)):
        if not what.strip() or what.strip().lower() in _UNKNOWN:
            named, comes = ("base model", "comes") if part == "base" else ("training data", "come")
            yield Refusal(
                f"the licence of the {named} is not known",
                f"{file}, [{part}] licence",
                f"look it up where the {named} {comes} from, and write it there: what is made of them is bound by it",
            )


def dependency_refusals(manifests: Mapping[str, Manifest], recipe: Recipe, file: str) -> Iterator[Refusal]:
    """Refuse what could be another thing tomorrow: an image by tag, a package or a model's file without a digest."""
    told: dict[str, list[str]] = {}
    for stage, manifest in manifests.items():
        for name, value in manifest.components.get("environment", {}).items():
            if name != _INTERPRETER and not _DIGEST.search(str(value)):
                told.setdefault(f"{name} {value}", []).append(stage)
    for found, stages in told.items():
        where = f"stages {_few(stages)}"
        if found.startswith("image "):
            what = f"{found} is no digest: what a tag names can be replaced"
            yield Refusal(what, where, "nox -s images, which locks images by digest; then run the recipe again")
        else:
            advice = "install the environment from its lock: remove its folder in .envs/ and run the recipe again"
            yield Refusal(f"the package {found} has no digest", where, advice)
    if isinstance(recipe.base, HubBase):
        for table, weights in (("base", recipe.base), ("base.training", recipe.base.training)):
            if weights is not None and (weights.revision is None or not weights.files):
                what = f"the files of {weights.repo} are not named by their digests"
                yield Refusal(what, f"{file}, [{table}]", "python -m pipeline pin")


def image_refusals(entries: Mapping[str, Mapping[str, Any]], lock: Path) -> Iterator[Refusal]:
    """Refuse a lock of images in which one stands by a tag. `entries` are those of the images that stages run in."""
    for name, entry in entries.items():
        if not _DIGEST.fullmatch(str(entry.get("id"))):
            what = f"the image {name} is {entry.get('id')!r}, which is no digest: what a tag names can be replaced"
            yield Refusal(what, str(lock), "nox -s images, which locks images by digest; then run the recipe again")


def path_refusals(recipe: Recipe, file: str) -> Iterator[Refusal]:
    """Refuse a recipe that names places of this machine: the release holds it word for word."""
    named = {
        "base.path": [recipe.base.path] if isinstance(recipe.base, FolderBase) else [],
        "data.files": list(getattr(recipe.data, "files", ())),
        "data.overrules": [recipe.data.overrules],
        "evaluate.unanswerable": [recipe.evaluate.unanswerable],
        "evaluate.neutral": [recipe.evaluate.neutral],
        "evaluate.bertscore.path": [getattr(recipe.evaluate.bertscore, "path", None)],
    }
    for key, paths in named.items():
        for path in paths:
            if path is not None and (PurePosixPath(path).is_absolute() or path.startswith("~")):
                yield Refusal(
                    f"{key} is a place on this machine, and the recipe goes to strangers: {path}",
                    f"{file}, {key}",
                    "put the file beside the recipe, or below it, and name it relative to the recipe",
                )


def tell_and_refuse(refusals: Iterable[Refusal], recipe: str, emit: Callable[..., None]) -> None:
    """Raise a ReleaseError that tells all of them, if there are any; `release.refused` tells a program."""
    found = list(dict.fromkeys(refusals))
    if found:
        emit("release.refused", stage=STAGE, recipe=recipe, reasons=[one.to_json() for one in found])
        refuse(found, recipe)


def refuse(refusals: Sequence[Refusal], recipe: str) -> None:
    """Raise a ReleaseError that tells all of them."""
    lines = []
    for number, one in enumerate(refusals, start=1):
        lines += [f"  {number}. {one.what}", f"     where: {one.where}", f"     do:    {one.advice}"]
    count = "1 reason" if len(refusals) == 1 else f"{len(refusals)} reasons"
    message = "\n".join([f"{recipe} is not released, for {count}:", *lines])
    advice = "mend what is listed, then run the command again; nothing was written"
    raise ReleaseError(message, where=f"recipe {recipe}", advice=advice)


def _few(names: Iterable[str]) -> str:
    """Return the first names, and how many more there are."""
    listed = list(names)
    more = len(listed) - _SHOWN
    return ", ".join(listed[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
