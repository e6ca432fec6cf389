"""A closer look at files that differ, where both of them are at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifact import Manifest
from pipeline.differing.compare import FileDifference, PartDifference
from pipeline.digest import digest_file
from pipeline.releasing.layout import is_model
from pipeline.reproducing.judgement import Judgement, StageJudgement
from pipeline.reproducing.release import Release
from pipeline.store import Store

Compare = Callable[[Path, Path], Mapping[str, Any]]
"""Returns what `differing.compare.FileDifference.to_json` does; an empty mapping where it cannot be said."""


@dataclass(frozen=True)
class Stores:
    """Where files lie: `released`, which may still hold what was released (its folder has only models), and `built`."""

    released: tuple[Store, ...]
    built: Store


def look_closer(
    release: Release, judgement: Judgement, built: Mapping[str, Manifest], stores: Stores, compare: Compare
) -> list[PartDifference]:
    """Compare the files of the stages where differences come from, and every model.

    A file counts as at hand only when its bytes are those that the chain names.
    """
    found = []
    for stage in judgement.stages:
        wanted = stage in judgement.origins
        files = tuple(_files(release, stage, built, stores, compare, only_models=not wanted))
        if files and (wanted or any(one.kind for one in files)):
            key = tuple(one.to_json() for one in stage.key)
            found.append(PartDifference(stage.stage, stage.equal, files, key))
    return found


def _files(
    release: Release,
    stage: StageJudgement,
    built: Mapping[str, Manifest],
    stores: Stores,
    compare: Compare,
    *,
    only_models: bool,
) -> Iterator[FileDifference]:
    for one in stage.files:
        if only_models and not is_model(one.path):
            continue
        if one.released is None or one.built is None:
            yield FileDifference(one.path, "only in the second" if one.released is None else "only in the first")
            continue
        first = _released_file(release, stage.stage, one.path, one.released, stores.released)
        second = stores.built.folder(built[stage.stage]) / one.path
        told = compare(first, second) if first is not None else {}
        yield FileDifference(one.path, "differs", str(told.get("kind", "")), told.get("details"))


def _released_file(release: Release, stage: str, path: str, sha256: str, stores: tuple[Store, ...]) -> Path | None:
    """Return a released file where its bytes are at hand: in the folder, or in a store that built it."""
    manifest = release.manifests[stage]
    for place in (release.folder / path, *(store.folder(manifest) / path for store in stores)):
        try:
            if place.is_file() and digest_file(place) == sha256:
                return place
        except OSError:
            continue
    return None
