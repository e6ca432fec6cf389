"""Publishing to a folder of this machine, or one that is mounted."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import NoSpaceError, PublishError, StoreError, printable
from pipeline.files import explained, sync_folder
from pipeline.publishing.items import CHUNK, Emit, Item, Progress
from pipeline.publishing.release import Release
from pipeline.publishing.shelf import REPLACED, ShelfPeer
from pipeline.publishing.target import FolderTarget

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<process>\d{1,7})\.(?P<system>[0-9a-f]{16})\.[0-9a-f]{8}")
"""Name of a file that is being written."""
_ABANDONED_S = 3600.0
"""Age of a half file that nobody writes any more: one that is written is touched many times a second."""


def folder_peer(target: FolderTarget, release: Release, emit: Emit) -> ShelfPeer:
    """Return the peer for `<folder>/<name>/<version>/`."""
    path = target.path.absolute() / release.name / release.version
    place, source = path.resolve(), release.folder.resolve()
    if place.is_relative_to(source):
        message = "the release would be published " + ("onto itself" if place == source else "into itself")
        raise PublishError(message, where=str(path), advice="name another folder")
    return ShelfPeer(FolderShelf(path, {REPLACED, *(item.name for item in release.items)}), release, emit)


class FolderShelf:
    """A folder: files come under a temporary name, are made durable, and are renamed. `names`: all that is written."""

    def __init__(self, path: Path, names: set[str]) -> None:
        self.where = str(path)
        self._path = path
        self._names = names

    def sizes(self) -> dict[str, int]:
        """Return the size of each file that is there whole; anything that is no file is refused."""
        with self._explained():
            entries = [entry for entry in self._entries() if not self._is_half(entry)]
            if odd := sorted(entry.name for entry in entries if entry.is_symlink() or not entry.is_file()):
                message = f"in the place of the release is something that is no file: {printable(', '.join(odd))}"
                raise PublishError(message, where=self.where, advice="move it away, or name another target")
            return {entry.name: entry.stat().st_size for entry in entries}

    def leftovers(self) -> list[str]:
        """Return the half files of killed processes. Raises PublishError for one that may still grow elsewhere."""
        with self._explained():
            return sorted(entry.name for entry in self._entries() if self._is_half(entry) and self._is_dead(entry))

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading."""
        with self._explained():
            return (self._path / name).open("rb")

    def write(self, item: Item, progress: Progress) -> None:
        """Copy a file's bytes; a full disk leaves nothing behind."""
        with self._explained():
            self._path.mkdir(parents=True, exist_ok=True)
            temporary = self._path / f".{item.name}.{os.getpid()}.{this_system()}.{secrets.token_hex(4)}"
            try:
                with item.open() as reader, temporary.open("xb") as writer:
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

    def _entries(self) -> list[Path]:
        return list(self._path.iterdir()) if self._path.exists() else []

    def _is_half(self, path: Path) -> bool:
        """Tell whether a file is one that `write` is making, or made until its process was killed."""
        made = _TEMPORARY.fullmatch(path.name)
        if made is None or made["name"] not in self._names or path.is_symlink():
            return False
        return path.is_file() or not path.exists()  # or it was renamed since the folder was read

    def _is_dead(self, path: Path) -> bool:
        """Tell whether nobody goes on with a half file. The processes of another machine are not seen from here."""
        try:
            age = time.time() - path.stat().st_mtime
        except FileNotFoundError:
            return False
        made = _TEMPORARY.fullmatch(path.name)
        if made is None or age > _ABANDONED_S:
            return True
        if made["system"] == this_system():
            return not _is_running(int(made["process"]))
        message = f"another machine is publishing here, or was until it was stopped: {path.name}"
        advice = "wait until it ends. If none does, remove that file; after an hour that is done here"
        raise PublishError(message, where=self.where, advice=advice)

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


def _is_running(process: int) -> bool:
    """Tell whether there is a process of this number, of whomever."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def this_system() -> str:
    """Return what names this start of this machine, and the container in it: numbers of processes hold there alone."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    return hashlib.sha256(f"{boot} {Path('/proc/self/ns/pid').readlink()}".encode()).hexdigest()[:16]
