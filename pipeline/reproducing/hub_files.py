"""Files of the hub that a user already has: laid out as the hub client's cache, so that a build needs no network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pipeline.artifact import Manifest
from pipeline.errors import FetchError
from pipeline.fetching.pinned import check_pinned
from pipeline.reproducing.inputs import Wanted, place, search
from pipeline.reproducing.release import Release

Emit = Callable[..., None]


def hub_cache(release: Release, folder: Path, places: Sequence[Path], emit: Emit) -> Path | None:
    """Return a cache of the hub with every pinned file of the release, where all of them are in `places`; else None.

    Then the build fetches them from the pinned revision, and checks the same digests. Raises FetchError for a model
    that the release does not name by revision and hashes.
    """
    wanted = [file for manifest in release.manifests.values() for file in _files(manifest)]
    if not wanted or len(dict(search(wanted, places, emit))) < len({one.sha256 for one in wanted}):
        return None
    for one in wanted:
        _check_inside(folder, folder / one.path)
    place(wanted, folder, places, emit)
    return folder


def _check_inside(folder: Path, target: Path) -> None:
    """Refuse to write anywhere but below `folder`, whatever the pins before it let pass. Raises FetchError."""
    if not target.resolve().is_relative_to(folder.resolve()):
        message = "a model's file would be written outside of the work folder"
        advice = "a link lies in the work folder, or the release is false: name another folder with --work DIR"
        raise FetchError(message, where=str(target), advice=advice)


def _files(manifest: Manifest) -> list[Wanted]:
    parameters: Mapping[str, object] = manifest.components.get("parameters", {})
    if not manifest.stage.startswith("fetch-") or parameters.get("source") != "hub":
        return []
    check_pinned(parameters)
    repository = f"models--{str(parameters['repo']).replace('/', '--')}/snapshots/{parameters['revision']}"
    sizes = {entry.path: entry.size for entry in manifest.files}
    files: Mapping[str, str] = manifest.components["parameters"]["files"]
    return [Wanted(f"{repository}/{name}", sha256, sizes.get(name)) for name, sha256 in sorted(files.items())]
