"""What is published: files of a release folder, and small ones that a target needs besides."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

CHUNK = 1024 * 1024
"""Bytes that are read at a time."""
_EVENT_INTERVAL_S = 0.2

Emit = Callable[..., None]


@dataclass(frozen=True)
class Item:
    """One file to publish: `size` in bytes, sha256 in hex, and where its bytes are."""

    name: str
    size: int
    sha256: str
    source: Path | bytes

    @classmethod
    def of(cls, name: str, content: bytes) -> Item:
        """Return an item of bytes that were made here."""
        return cls(name, len(content), hashlib.sha256(content).hexdigest(), content)

    def open(self) -> BinaryIO:
        """Open the bytes for reading."""
        return io.BytesIO(self.source) if isinstance(self.source, bytes) else self.source.open("rb")

    def read(self) -> bytes:
        """Return all bytes; for small items."""
        with self.open() as stream:
            return stream.read()


class Progress:
    """Tells of one file's bytes as `publish.bytes`, a few times a second, and of its end as `publish.done`."""

    def __init__(self, emit: Emit, doing: str, item: Item) -> None:
        self._emit = emit
        self._told = {"doing": doing, "file": item.name}
        self._total = item.size
        self._started = self._last = time.monotonic()

    def set(self, done: int) -> None:
        """Tell how many bytes are through."""
        now = time.monotonic()
        if now - self._last >= _EVENT_INTERVAL_S:
            self._last = now
            self._emit("publish.bytes", **self._told, done=done, total=self._total)

    def end(self) -> None:
        """Tell that the file is through."""
        seconds = round(time.monotonic() - self._started, 3)
        self._emit("publish.done", **self._told, bytes=self._total, seconds=seconds)


def digest_stream(stream: BinaryIO, progress: Progress) -> tuple[int, str]:
    """Read a stream to its end; return its size and sha256 (hex)."""
    digest, size = hashlib.sha256(), 0
    while part := stream.read(CHUNK):
        digest.update(part)
        size += len(part)
        progress.set(size)
    return size, digest.hexdigest()
