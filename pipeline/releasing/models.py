"""The model files of a release: brought from the store, never held twice on a disk where that can be avoided.

A release folder is given away: people edit, move and delete in it. So it must not share a file with the store that an
edit could reach. In this order:

1. Shared blocks (a clone: btrfs, XFS, bcachefs). No second copy, and an edit of one is not seen in the other.
2. A second name for the store's own file (a hard link), for files of a gigabyte and more, and only where this user
   cannot write to it: the store's files are read-only, so an edit in place is refused by the system. To root they are
   not. Whoever makes the file writable first and edits it damages the artifact; the store notices by the file's times,
   and builds it again.
3. A copy.

A second name moves the time of change by which the store trusts a file unread: the next run reads it once more.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path

from pipeline.fetching.copying import ByteProgress, copy_file

SHARED_FROM_BYTES = 10**9
"""Below this a copy costs nothing that matters."""
_FICLONE = 0x40049409  # linux/fs.h
_CHUNK = 8 * 1024 * 1024


def bring(source: Path, target: Path, progress: ByteProgress, shared_from_bytes: int = SHARED_FROM_BYTES) -> str:
    """Make `target` the same bytes as `source`; return how: `clone`, `link` or `copy`. Raises OSError."""
    if _cloned(source, target):
        progress.set(target.stat().st_size, target.name)
        return "clone"
    if source.stat().st_size >= shared_from_bytes and not os.access(source, os.W_OK, effective_ids=True):
        try:
            os.link(source, target)
        except OSError:  # another file system, or one without links
            pass
        else:
            progress.set(target.stat().st_size, target.name)
            return "link"
    copy_file(source, target, progress)
    target.chmod(0o444)
    return "copy"


def _cloned(source: Path, target: Path) -> bool:
    """Let `target` share the blocks of `source`; False, and no file, where the file system cannot."""
    with source.open("rb") as reader, target.open("xb") as writer:
        try:
            fcntl.ioctl(writer, _FICLONE, reader.fileno())
        except OSError:
            target.unlink()
            return False
    target.chmod(0o444)
    return True


def digest_of(path: Path, progress: ByteProgress) -> str:
    """Return the sha256 (hex) of a file, telling how far it is. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            progress.add(len(chunk), path.name)
    return digest.hexdigest()
