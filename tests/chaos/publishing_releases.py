"""What is killed at each system call: the publishing of a release to a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pipeline.publishing.folder import folder_peer
from pipeline.publishing.publish import publish
from pipeline.publishing.release import read_release
from pipeline.publishing.target import FolderTarget
from pipeline.releasing import layout
from tests.support.release_folder import release_files, write_release

SHELF: Final = Path("shelf") / "seedling" / "1.2.0"
"""Where a release lies after it was published, below the act's folder."""
NEW: Final = (layout.RECIPE, "model-Q4_K_M.gguf")
"""The fewest files that are a release: each takes the same calls."""
OLD: Final = (*NEW, layout.MODEL_CARD)
"""Files of the release that is replaced: one that the new one has not, one with the same bytes, one with others."""


def send(folder: Path, *, replace: bool) -> None:
    """Publish the release in `new`, as the command does."""
    release = read_release(folder / "new", _untold)
    peer = folder_peer(FolderTarget(folder / "shelf"), release, _untold)
    publish(release, peer, _untold, consent=True, replace=replace)


def write_new(folder: Path) -> None:
    """Write the release that is published."""
    files = release_files(weights=4096)
    write_release(folder / "new", {name: files[name] for name in NEW})


def first(folder: Path) -> Iterator[None]:
    """A release into a folder that is not there yet."""
    write_new(folder)
    yield
    send(folder, replace=False)


def over_another(folder: Path) -> Iterator[None]:
    """The same in the place of another release of that name and version."""
    write_new(folder)
    files = release_files(salt=b"old", weights=4096)
    write_release(folder / SHELF, {name: files[name] for name in OLD})
    yield
    send(folder, replace=True)


def _untold(*_: Any, **__: Any) -> None:
    """Take events and texts."""
