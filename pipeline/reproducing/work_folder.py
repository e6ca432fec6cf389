"""The work folder of a reproduction: one release's alone, for what lies in it is removed, and run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from pipeline.digest import digest_file
from pipeline.errors import UsageError
from pipeline.files import explained, write_json_atomic
from pipeline.releasing.layout import CHECKSUMS
from pipeline.reproducing.release import Release
from pipeline.reproducing.reproduction import DATA, PAGE

LOCK: Final = ".lock"
_MARK: Final = "release.json"
_NOT_BUILT: Final = frozenset({LOCK, _MARK, DATA, PAGE})
"""What lies in a work folder in which nothing has been built."""


def claim(release: Release, work: Path, *, fresh: bool = False) -> None:
    """Keep a work folder for one release. `fresh` takes none in which something was built. Raises UsageError."""
    with explained(work):
        if not check_claim(release, work):
            work.mkdir(parents=True, exist_ok=True)
            write_json_atomic(work / _MARK, _mark(release))
        if fresh and _names(work) - _NOT_BUILT:
            message = "--fresh starts from nothing, and the work folder was used before"
            raise UsageError(message, where=str(work), advice="remove it, or name another: --work DIR")


def check_claim(release: Release, work: Path) -> bool:
    """Tell whether a work folder is this release's already; False for one that is empty or not there.

    Raises UsageError for a folder with anything in it that is not marked as this release's.
    """
    with explained(work):
        if not _names(work) - {LOCK}:
            return False
    advice = "name another, or a new one: --work DIR"
    try:
        found = json.loads((work / _MARK).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        message = "the work folder holds something that no reproduction put there"
        raise UsageError(message, where=str(work), advice=advice) from error
    if found != _mark(release):
        message = "the work folder belongs to another release"
        raise UsageError(message, where=str(work), advice=advice)
    return True


def _mark(release: Release) -> dict[str, str]:
    return {"sha256sums": digest_file(release.folder / CHECKSUMS)}


def _names(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return set()
