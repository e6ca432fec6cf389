"""One layer of an image, written anew so that equal contents are equal bytes.

A layer is a tar file. Its bytes depend on when the files were written, in which order the engine's
storage lists them, and on caches and logs that installers leave. All of that goes; what a program in the
image can see of its files (path, bytes, mode, owner, extended attributes, links) stays. A time after the epoch
becomes the epoch, an earlier one stays: it came out of a package and is the same each time.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO

VOLATILE = (
    *("tmp", "run", "var/tmp", "var/log", "var/run", "root/.cache"),
    *("var/lib/apt/lists", "var/cache/apt", "var/cache/debconf", "var/cache/ldconfig"),
    *("var/lib/dpkg/lock", "var/lib/dpkg/lock-frontend", "var/lib/dpkg/triggers/Lock"),
    *("var/lib/dpkg/status-old", "var/lib/dpkg/diversions-old", "var/lib/dpkg/statoverride-old"),
    *("etc/.pwd.lock", "etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-"),
)
"""Files and folders that installers leave behind and no job needs. The base image has the folders themselves."""

_KEPT_RECORDS = ("SCHILY.xattr.", "LIBARCHIVE.xattr.")
"""The pax records that say something about the file; the rest are times, or made again where they are needed."""


@dataclass(frozen=True)
class LayerBytes:
    """What was written: `diff_id` is `sha256:` and the digest of the tar file; `entries` counts what is in it."""

    diff_id: str
    size: int
    entries: int


class _HashedFile:
    """A file for writing that digests what passes."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self._target.write(data)
        self.digest.update(data)
        self.size += len(data)
        return len(data)

    def tell(self) -> int:
        return self.size


def path_of(name: str) -> str:
    """Return a member's path without `./` in front and `/` behind."""
    return name.removeprefix("./").strip("/")


def is_volatile(path: str) -> bool:
    """Say whether a path is one that is left out, or the mark that such a path was deleted."""
    shown = path.replace(".wh.", "")
    return any(shown == left or shown.startswith(f"{left}/") for left in VOLATILE)


def rewrite_layer(source: IO[bytes], target: IO[bytes], epoch: int) -> LayerBytes:
    """Write the layer of `source` (seekable, not compressed) to `target` in its one canonical form.

    Entries are sorted by path, parents first. Of files that are hard links of each other the first holds the
    bytes. Of two entries with one path the later counts, as for the engine. Memory: 1 kB for each entry.
    Raises tarfile.TarError and OSError.
    """
    hashed = _HashedFile(target)
    with (
        tarfile.open(fileobj=source, mode="r:") as old,
        tarfile.open(fileobj=hashed, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8") as new,  # type: ignore[call-overload]
    ):
        members = {path_of(member.name): member for member in old}
        chosen = sorted((path for path in members if path and not is_volatile(path)), key=lambda path: path.split("/"))
        # No folder is there for its own sake when all that changed in it was left out.
        chosen = _without_empty_parents(chosen, members)
        first_of: dict[str, str] = {}
        for path in chosen:
            holder = _holder(members, path)
            first = first_of.setdefault(path_of(holder.name), path) if holder.isreg() else path
            info = _clean(holder if holder.isreg() else members[path], path, epoch)
            if first != path:
                info.type, info.linkname, info.size = tarfile.LNKTYPE, first, 0
            new.addfile(info, old.extractfile(holder) if info.isreg() else None)
    return LayerBytes(f"sha256:{hashed.digest.hexdigest()}", hashed.size, len(chosen))


def _without_empty_parents(paths: list[str], members: dict[str, tarfile.TarInfo]) -> list[str]:
    """Leave out the folders that lead to volatile paths only (all they tell is a new time)."""
    volatile_parents = {parent for path in members if is_volatile(path) for parent in _parents(path)}
    needed = {parent for path in paths if not members[path].isdir() for parent in _parents(path)}
    needed |= {path for path in paths if path not in volatile_parents}
    return [path for path in paths if path in needed]


def _parents(path: str) -> Iterable[str]:
    parts = path.split("/")
    return ("/".join(parts[:length]) for length in range(1, len(parts)))


def _holder(members: dict[str, tarfile.TarInfo], path: str) -> tarfile.TarInfo:
    """Return the member that has the bytes of a path: itself, or what it is a hard link to (in this layer)."""
    member = members[path]
    while member.islnk() and path_of(member.linkname) in members:
        member = members[path_of(member.linkname)]
    return member


def _clean(member: tarfile.TarInfo, path: str, epoch: int) -> tarfile.TarInfo:
    """Return a member's description with only what counts."""
    info = tarfile.TarInfo(path)
    info.type = tarfile.REGTYPE if member.isreg() else member.type
    info.mode, info.uid, info.gid = member.mode & 0o7777, member.uid, member.gid
    info.size = member.size if member.isreg() else 0
    info.linkname = member.linkname if member.issym() or member.islnk() else ""
    info.devmajor, info.devminor = member.devmajor, member.devminor
    info.mtime = min(int(member.mtime), epoch)
    info.pax_headers = {key: value for key, value in member.pax_headers.items() if key.startswith(_KEPT_RECORDS)}
    return info
