"""Copying the user's files: never a link, because a later edit of the original would reach the store."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import FetchError
from pipeline.files import explanation

_CHUNK = 64 * 1024 * 1024
_EVENT_INTERVAL_S = 0.2


class ByteProgress:
    """Counts bytes over several files and reports them as `fetch.bytes`, a few times a second."""

    def __init__(self, emit: Callable[..., None], total: int) -> None:
        self._emit = emit
        self._total = total
        self._files: dict[str, int] = {}
        self._last = -1.0

    def add(self, count: int, file: str) -> None:
        """Count further bytes of a file; a negative count takes back bytes that were of no use."""
        self.set(self._files.get(file, 0) + count, file)

    def set(self, count: int, file: str) -> None:
        """Set how many bytes of a file are there."""
        self._files[file] = count
        done, now = sum(self._files.values()), time.monotonic()
        if now - self._last >= _EVENT_INTERVAL_S or done >= self._total:
            self._last = now
            self._emit("fetch.bytes", done=done, total=self._total, file=file)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a FetchError that says what to do."""
    try:
        yield
    except OSError as error:
        where = str(error.filename or path)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = "no space left on the disk while fetching"
            raise FetchError(
                message, where=where, advice="free space, or run `python -m pipeline gc`; what was fetched is kept"
            ) from error
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN):
            raise explanation(error, path) from error
        message = f"cannot read or write: {error.strerror or error}"
        raise FetchError(message, where=where, advice="check that the file exists and that you may read it") from error


def copy_file(source: Path, target: Path, progress: ByteProgress) -> None:
    """Copy the bytes of a file, in the kernel where that works (which shares blocks where the file system can).

    Permissions and times are not copied: they would differ from user to user.
    """
    with source.open("rb") as reader, target.open("xb") as writer:
        while count := _copy_some(reader.fileno(), writer.fileno()):
            progress.add(count, source.name)


def _copy_some(source: int, target: int) -> int:
    """Copy up to one chunk between two open files; return the number of bytes, 0 at the end."""
    if hasattr(os, "copy_file_range"):
        try:
            return os.copy_file_range(source, target, _CHUNK)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM):
                raise
    data = os.read(source, 1024 * 1024)
    left = memoryview(data)
    while left:
        left = left[os.write(target, left) :]
    return len(data)
