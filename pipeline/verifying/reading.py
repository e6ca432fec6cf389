"""Files that a stranger laid out, opened without waiting for anything and without following a link."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import ReleaseError
from pipeline.verifying.papers import failed


def open_regular(path: Path, *, follow: bool = False) -> BinaryIO:
    """Open a regular file. Raises ReleaseError for a pipe, which is not waited for, and what cannot be opened.

    `follow`: a link is followed, where the user himself named it.
    """
    kind = 0 if follow else os.O_NOFOLLOW
    try:
        stream = os.fdopen(os.open(path, os.O_RDONLY | kind | os.O_CLOEXEC | os.O_NONBLOCK), "rb")
    except OSError as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise failed(f"{path.name} is no file any more", path.name)
    return stream


def unreadable(path: Path, error: OSError) -> ReleaseError:
    """Return what to tell of a file that the system does not give."""
    message = f"{path.name} cannot be read: {error.strerror}"
    return ReleaseError(message, where=str(path), advice="check the disk and the file's permissions")


def size_of(path: Path) -> int:
    """Return a file's size in bytes, 0 where it has gone: reading it will tell."""
    try:
        return path.lstat().st_size
    except OSError:
        return 0
