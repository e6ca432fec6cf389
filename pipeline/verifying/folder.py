"""The files of a release folder: listed without following anything out of it, every byte read once."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.digest import FileEntry
from pipeline.errors import ReleaseError
from pipeline.releasing import layout
from pipeline.verifying.papers import ADVICE, MAX_BYTES, UnreadableError, failed, read_json
from pipeline.verifying.reading import open_regular, size_of, unreadable
from pipeline.verifying.statements import LINES, Statements, read_statements

Progress = Callable[[int, str], None]
"""Called with bytes just read and the file's name."""

TOLERATED = frozenset({".git", ".gitattributes", ".cache"})
"""What hubs and git put beside a release: not read, not vouched for, and said so."""

_MAX_FILES = 10_000
_CHUNK = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}")
"""What a file of a release may be called: no path, nothing that a terminal or a shell obeys."""
_KEPT = frozenset(
    {layout.CHAIN, layout.MANIFEST, layout.RECIPE, layout.BILL_OF_MATERIALS, layout.PROVENANCE}
    | {layout.CHECKSUMS, layout.PUBLIC_KEY, layout.SIGNATURE}
)
"""Papers whose content the checks read: kept from the one reading in which they were hashed."""


@dataclass(frozen=True)
class Opened:
    """A release as it was read: `entries` of every file, `contents` of the papers.

    `absent` are files that are knowingly not here: other models of a release of which one was asked for.
    """

    folder: Path
    entries: dict[str, FileEntry]
    contents: dict[str, bytes]
    ignored: tuple[str, ...] = ()
    absent: frozenset[str] = frozenset()

    @property
    def models(self) -> list[str]:
        """The names of the GGUF files."""
        return sorted(name for name in self.entries if layout.is_model(name))

    def text(self, name: str) -> bytes:
        """Return a paper. Raises UnreadableError where there is none."""
        if name not in self.contents:
            reason = "is too large to be read" if name in self.entries else "is not there"
            raise UnreadableError(f"{name} {reason}", where=name, advice=ADVICE)
        return self.contents[name]

    @cached_property
    def manifest(self) -> Any:
        """`manifest.json`. Raises UnreadableError."""
        return read_json(self.text(layout.MANIFEST), layout.MANIFEST)

    @cached_property
    def chain(self) -> Any:
        """`chain.json`. Raises UnreadableError."""
        return read_json(self.text(layout.CHAIN), layout.CHAIN)

    @cached_property
    def materials(self) -> Any:
        """The bill of materials. Raises UnreadableError."""
        return read_json(self.text(layout.BILL_OF_MATERIALS), layout.BILL_OF_MATERIALS)

    @cached_property
    def envelopes(self) -> list[Any]:
        """The two lines of the provenance. Raises UnreadableError where there are not two."""
        lines = self.text(layout.PROVENANCE).removesuffix(b"\n").split(b"\n")
        if len(lines) != len(LINES):
            message = f"{layout.PROVENANCE} has {len(lines)} lines, not {len(LINES)}"
            raise UnreadableError(message, where=layout.PROVENANCE, advice=ADVICE)
        return [read_json(line, f"{layout.PROVENANCE}:{at}") for at, line in enumerate(lines, start=1)]

    @cached_property
    def statements(self) -> Statements:
        """The two statements of the envelopes, decoded once. Raises ReleaseError."""
        return read_statements(self.envelopes)


def names_in(folder: Path) -> tuple[list[str], tuple[str, ...]]:
    """Return the names of the files of a release, sorted, and what is passed over.

    Raises ReleaseError for a folder that holds anything but regular files, or names that are no release's.
    """
    try:
        with os.scandir(folder) as found:
            there = [entry for _, entry in zip(range(_MAX_FILES + 1), found, strict=False)]
    except OSError as error:
        message = f"the folder cannot be read: {error.strerror}"
        raise ReleaseError(message, where=str(folder), advice="name a release folder") from error
    if len(there) > _MAX_FILES:
        raise failed(f"the folder holds more than {_MAX_FILES:,} files", str(folder))
    ignored = tuple(sorted(entry.name for entry in there if entry.name in TOLERATED))
    read = [entry for entry in there if entry.name not in TOLERATED]
    for entry in sorted(read, key=lambda one: one.name):
        if not _NAME.fullmatch(entry.name):
            raise failed(f"{entry.name[:80]!r} is no name of a release's file", str(folder))
        if entry.is_symlink():
            raise failed(f"{entry.name} is a link; a release holds files", str(folder))
        if not entry.is_file(follow_symlinks=False):
            raise failed(f"{entry.name} is no file; a release is flat and holds files", str(folder))
    return sorted(entry.name for entry in read), ignored


def open_release(
    folder: Path, names: list[str], progress: Progress, *, ignored: tuple[str, ...] = (), absent: frozenset[str]
) -> Opened:
    """Read every file once, two at a time, the largest first. Raises ReleaseError for one that cannot be read."""
    contents: dict[str, bytes] = {}

    def read(name: str) -> FileEntry:
        return _read(folder / name, contents, progress)

    by_size = sorted(names, key=lambda name: -size_of(folder / name))
    with ThreadPoolExecutor(max_workers=2) as pool:  # hashlib frees the interpreter lock
        entries = list(pool.map(read, by_size))
    return Opened(folder, {entry.path: entry for entry in entries}, contents, ignored, absent)


def digest_of(path: Path, progress: Progress) -> FileEntry:
    """Hash a file that the user himself named, also by a link. Raises ReleaseError for one that cannot be read."""
    with open_regular(path, follow=True) as stream:
        return _hashed(stream, path, None, progress)


def _read(path: Path, contents: dict[str, bytes], progress: Progress) -> FileEntry:
    """Hash one file, and keep it where it is a paper of ordinary size."""
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        kept = bytearray() if path.name in _KEPT and size <= MAX_BYTES else None
        entry = _hashed(stream, path, kept, progress)
    if kept is not None:
        contents[path.name] = bytes(kept)
    return entry


def _hashed(stream: BinaryIO, path: Path, kept: bytearray | None, progress: Progress) -> FileEntry:
    """Hash what an open file holds, and add it to `kept`. Raises ReleaseError for a file that changes meanwhile."""
    before = os.fstat(stream.fileno()).st_size
    digest, size = hashlib.sha256(), 0
    buffer = memoryview(bytearray(_CHUNK))
    try:
        while count := stream.readinto(buffer):  # type: ignore[attr-defined] # a buffered reader of `os.fdopen` has it
            digest.update(buffer[:count])
            size += count
            if kept is not None and size <= MAX_BYTES:
                kept += buffer[:count]
            progress(count, path.name)
    except OSError as error:
        raise unreadable(path, error) from error
    if size != before:
        raise failed(f"{path.name} changed while it was read", path.name)
    return FileEntry(path.name, size, digest.hexdigest())
