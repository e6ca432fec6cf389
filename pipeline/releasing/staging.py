"""A folder that is replaced at once: written beside the old one, made durable, exchanged with it.

.<name>.new-<pid>    the folder that is being written
.<name>.old          the replaced one, on a file system that cannot exchange two names; put back after a crash
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.files import explained, sync_folder, sync_tree

_AT_FDCWD = -100  # fcntl.h
_RENAME_EXCHANGE = 2  # linux/fs.h
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EXDEV)
"""What a kernel, a C library or a file system (NFS, some overlays) answers that does not know the exchange."""


@contextmanager
def replaced(target: Path) -> Iterator[Path]:
    """Yield an empty folder; at the end of the block it has the name `target`, and what had it is gone.

    After a crash at any moment `target` is the old folder whole or the new one whole; in the one moment between two
    renames, where the file system cannot exchange names, the old one lies beside it until the next call puts it back.
    An error in the block leaves the old one. Raises StoreError.
    """
    target = target.absolute()
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target.parent):
            recover(target)
            staging = _beside(target, f"new-{os.getpid()}")
            staging.mkdir()
            try:
                yield staging
                sync_tree(staging)
                _put(staging, target)
            finally:
                shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder for the block; wait while another process does. The lock is no file of its own."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # NFS has no locks of folders: there two at once are the user's to avoid
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def recover(target: Path) -> None:
    """Remove what killed processes left half made, put back a folder that one was about to replace. Hold the lock."""
    for folder in target.parent.iterdir():
        if folder.name.startswith(f".{target.name}.new-"):
            shutil.rmtree(folder, ignore_errors=True)
    old = _beside(target, "old")
    if old.exists() and not target.exists():
        old.rename(target)
        sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def _put(staging: Path, target: Path) -> None:
    """Give `staging` the name `target`; what had it is then called `staging` or is gone."""
    if not target.exists():
        staging.rename(target)
    elif not _exchanged(staging, target):
        old = _beside(target, "old")
        target.rename(old)
        staging.rename(target)
        sync_folder(target.parent)
        shutil.rmtree(old, ignore_errors=True)
    sync_folder(target.parent)


def _exchanged(first: Path, second: Path) -> bool:
    """Exchange two names at once; False where that is not possible here."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(second))


def _beside(target: Path, ending: str) -> Path:
    return target.with_name(f".{target.name}.{ending}")
