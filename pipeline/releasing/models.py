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
from collections.abc import Mapping
from pathlib import Path

from pipeline.digest import FileEntry
from pipeline.fetching.copying import ByteProgress, copy_file
from pipeline.files import explained
from pipeline.releasing.facts import ReleasedFile
from pipeline.releasing.layout import model_kind
from pipeline.releasing.refusals import STAGE
from pipeline.releasing.splitting import split_gguf
from pipeline.releasing.work import Work
from pipeline.stages.release import is_released

SHARED_FROM_BYTES = 10**9
"""Below this a copy costs nothing that matters."""
_GIGABYTE = 10**9
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


def bring_models(work: Work) -> tuple[ReleasedFile, ...]:
    """Bring the GGUF files into the folder, each read whole and held against its manifest, large ones in parts.

    Raises ReleaseError that names every damaged file.
    """
    limit = round(work.context.recipe.release.split_gb * _GIGABYTE)
    listed = [(name, entry) for name in _model_stages(work) for entry in work.manifests[name].files]
    models = [(name, entry) for name, entry in listed if is_released(entry.path)]
    whole = sum(entry.size for _, entry in models if entry.size <= limit)
    copying = work.progress("copying", whole)
    hashing = work.progress("hashing", sum(entry.size for _, entry in models))
    damaged: list[tuple[str, FileEntry]] = []
    brought: list[Path] = []
    with explained(work.staging):
        for stage, entry in models:
            source, target = work.store.folder(work.manifests[stage]) / entry.path, work.staging / entry.path
            if entry.size <= limit:
                bring(source, target, copying)
                work.look_at(target)
            if digest_of(target if entry.size <= limit else source, hashing) != entry.sha256:
                damaged.append((stage, entry))
            else:
                brought += [target] if entry.size <= limit else _in_parts(work, source, limit)
    work.refuse_damaged(damaged)
    return tuple(_released(work, path, {entry.path: entry for _, entry in models}) for path in brought)


def _model_stages(work: Work) -> list[str]:
    plan = work.context.plan
    return [name for name in work.manifests if plan[name].family in {"convert", "quantize"}]


def _in_parts(work: Work, source: Path, limit: int) -> list[Path]:
    def told(done: int, total: int) -> None:
        work.emit("release.splitting", stage=STAGE, file=source.name, done=done, total=total)

    parts = split_gguf(source, work.staging, source.stem, limit, told)
    for part in parts:
        part.chmod(0o444)
    return parts


def _released(work: Work, path: Path, known: Mapping[str, FileEntry]) -> ReleasedFile:
    """Describe a model's file; a part has a digest of its own."""
    size = path.stat().st_size
    whole = known.get(path.name)
    if whole is None:
        work.look_at(path)
    sha256 = whole.sha256 if whole is not None else digest_of(path, work.progress("hashing", size))
    work.sums[path.name] = sha256
    return ReleasedFile(path.name, size, sha256, model_kind(path.name))
