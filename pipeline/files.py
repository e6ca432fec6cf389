"""Durable writes: what is there after a crash is the old state or the new one."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import SHORTAGE_ADVICE, NoSpaceError, PipelineError, ShortageError, StoreBusyError, StoreError


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError from the block into a StoreError, or a ShortageError, that says what to do."""
    try:
        yield
    except OSError as error:
        raise explanation(error, path) from error


_GONE = {errno.ENOENT, errno.ESTALE, errno.ENODEV, errno.ENOTCONN}


def explanation(error: OSError, path: Path) -> PipelineError:
    """Return what to tell of an error of the system on `path`, or on the file that it names itself."""
    where, reason = str(error.filename or path), error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = "free space, or run `python -m pipeline gc`"
        return NoSpaceError("no space left on the disk", where=where, advice=advice)
    if error.errno in (errno.ENOMEM, errno.EAGAIN):
        return ShortageError(f"this machine is at a limit: {reason}", where=where, advice=SHORTAGE_ADVICE)
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        message = f"cannot write: {reason}{_whose(Path(where))}"
        advice = "make the folder writable, or choose another with --build"
    elif error.errno in (errno.EMFILE, errno.ENFILE):
        message, advice = "too many open files", "raise the limit (`ulimit -n 4096`) or lower --jobs"
    elif error.errno in _GONE and not path.exists():
        message = f"the folder has gone while it was used: {reason}"
        advice = "bring it back (mount it again) and run again: what was published before is still in it"
    elif error.errno in (errno.ENOTDIR, errno.EEXIST):
        message, advice = f"a folder is needed here: {reason}", "name another folder with --build"
    else:
        message, advice = reason, "check the disk, then run again"
    return StoreError(message, where=where, advice=advice)


def _whose(path: Path) -> str:
    """Say whose a path is, where it is another user's: several may use one store, if all of them may write to it."""
    for there in (path, *path.parents):
        try:
            owner = there.stat().st_uid
        except OSError:
            continue
        if owner in (0, os.geteuid()):
            return ""
        return f" ({there} belongs to user {owner}; how to share a store: docs/running.md)"
    return ""


_SYNCS = 8
"""Requests to a disk at a time. More of them gain nothing."""


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Make a file's bytes durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Make all files and names below a folder durable.

    Several at a time: a file system writes what it is asked for together by one turn of its journal.
    """
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - not on the path of an unchanged run

    folders = [Path(parent) for parent, _, _ in os.walk(folder)]
    files = [Path(parent) / name for parent, _, names in os.walk(folder) for name in names]
    with ThreadPoolExecutor(_SYNCS) as pool:
        list(pool.map(sync_file, files))  # the first error is raised here
        list(pool.map(sync_folder, folders))


def write_atomic(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replace `path` by `data` at once: temporary name, fsync, rename, fsync of the folder.

    What is not `durable` may be gone, or empty, after a power cut: for what can be found out again.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def write_json_atomic(path: Path, value: Any, *, durable: bool = True) -> None:
    """Replace `path` by readable JSON with sorted keys."""
    write_atomic(path, json_bytes(value), durable=durable)


def json_bytes(value: Any) -> bytes:
    """Return readable JSON with sorted keys. Raises ValueError for what has no JSON, or no UTF-8."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False) + "\n"
    return text.encode()


def link_atomic(link: Path, target: Path) -> None:
    """Point the symbolic link `link` to `target` at once; relative to where the link's folder really is."""
    relative = os.path.relpath(target, link.parent.resolve())
    if link.is_symlink() and str(link.readlink()) == relative:
        return
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(relative)
    temporary.replace(link)


_TEMPORARY = re.compile(r"\..+?\.(\d+)(?:\.\d+)?")
"""Name of a file that `write_atomic` or `link_atomic` is making, with the number of its process."""


def drop_leftovers(folder: Path) -> None:
    """Remove what processes that were killed left half made in a folder; what a living one is making stays."""
    for path in folder.glob(".*"):
        made_by = _TEMPORARY.fullmatch(path.name)
        if made_by is not None and not Path(f"/proc/{made_by[1]}").exists():
            path.unlink(missing_ok=True)


def try_lock(path: Path, *, shared: bool = False) -> int | None:
    """Take the advisory lock of a file without waiting; return its handle, or None when it is held.

    The kernel frees it when the process ends, however it ends. The umask says who else may take it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


@contextmanager
def locked(path: Path, *, shared: bool = False, waiting: Callable[[], bool] | None = None) -> Iterator[None]:
    """Hold a file's lock for the block.

    `waiting` is called every 0.1 s while somebody else holds it; it returns False to give up, and
    without it the first refusal is a StoreBusyError.
    """
    while (handle := try_lock(path, shared=shared)) is None:
        if waiting is None or not waiting():
            message = "another run is using this store"
            raise StoreBusyError(message, where=str(path), advice="wait until it ends, then run again")
        time.sleep(0.1)
    try:
        yield
    finally:
        os.close(handle)
