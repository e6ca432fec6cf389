"""Publishing to a folder of this machine, or one that is mounted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import NoSpaceError, PublishError, StoreError
from pipeline.files import drop_leftovers, explained, sync_folder
from pipeline.publishing.items import CHUNK, Emit, Item, Progress
from pipeline.publishing.release import Release
from pipeline.publishing.shelf import ShelfPeer
from pipeline.publishing.target import FolderTarget


def folder_peer(target: FolderTarget, release: Release, emit: Emit) -> ShelfPeer:
    """Return the peer for `<folder>/<name>/<version>/`."""
    path = target.path.absolute() / release.name / release.version
    if path.resolve() == release.folder.resolve():
        message = "the release would be published onto itself"
        raise PublishError(message, where=str(path), advice="name another folder")
    return ShelfPeer(FolderShelf(path), release, emit)


class FolderShelf:
    """A folder: files come under a temporary name, are made durable, and are renamed."""

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._path = path

    def sizes(self) -> dict[str, int]:
        """Return the size of each file; anything that is no file is refused."""
        with self._explained():
            if not self._path.exists():
                return {}
            entries = [entry for entry in self._path.iterdir() if not entry.name.startswith(".")]
            if odd := sorted(entry.name for entry in entries if entry.is_symlink() or not entry.is_file()):
                message = f"in the place of the release is something that is no file: {', '.join(odd)}"
                raise PublishError(message, where=self.where, advice="move it away, or name another target")
            return {entry.name: entry.stat().st_size for entry in entries}

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading."""
        with self._explained():
            return (self._path / name).open("rb")

    def write(self, item: Item, progress: Progress) -> None:
        """Copy a file's bytes; a full disk leaves nothing behind."""
        with self._explained():
            self._path.mkdir(parents=True, exist_ok=True)
            drop_leftovers(self._path)
            temporary = self._path / f".{item.name}.{os.getpid()}"
            try:
                with item.open() as reader, temporary.open("wb") as writer:
                    while part := reader.read(CHUNK):
                        writer.write(part)
                        progress.set(writer.tell())
                    writer.flush()
                    os.fsync(writer.fileno())
                temporary.replace(self._path / item.name)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            sync_folder(self._path)

    def remove(self, name: str) -> None:
        """Remove a file that may be there."""
        with self._explained():
            (self._path / name).unlink(missing_ok=True)
            if self._path.exists():
                sync_folder(self._path)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what the system refuses into words: no rights are the target's business, a full disk is one anywhere."""
        try:
            with explained(self._path):
                yield
        except NoSpaceError as error:
            advice = "free space, then run again: what is there whole is not sent again"
            raise NoSpaceError(error.what, where=error.where, advice=advice) from error
        except StoreError as error:
            advice = "make the folder writable, or name another target"
            raise PublishError(error.what, where=error.where, advice=advice) from error
