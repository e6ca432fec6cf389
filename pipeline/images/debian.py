"""Debian packages by name, version and sha256: `lockfiles/debian-<set>.lock`, and the files they name."""

from __future__ import annotations

import http.client
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.digest import digest_file
from pipeline.environments import REPOSITORY
from pipeline.errors import ImageError
from pipeline.files import write_atomic
from pipeline.images.settings import Debian

Emit = Callable[..., None]

RENEW = "renew the locks: python -m pipeline images --relock-debian (the images get other digests)"
_FIELDS = 5
_WAIT_S = 60


@dataclass(frozen=True, order=True)
class Deb:
    """One file. `path` is the one on a mirror, the archive's name first: `debian/pool/main/...`."""

    name: str
    version: str
    sha256: str
    size: int
    path: str

    @property
    def file(self) -> str:
        """The file's own name."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class DebianLock:
    """The files of one set; `moment` (20260102T030405Z) is when the mirror had them all."""

    moment: str
    debs: tuple[Deb, ...]


def lock_path(name: str, repository: Path = REPOSITORY) -> Path:
    """Return the lock file of a set."""
    return repository / "lockfiles" / f"debian-{name}.lock"


def read_debs(path: Path) -> DebianLock:
    """Read a lock. Raises ImageError."""
    try:
        first, *lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ImageError(
            f"the lock of Debian packages cannot be read: {error}", where=str(path), advice=RENEW
        ) from error
    debs: list[Deb] = []
    for number, line in enumerate(lines, start=2):
        fields = line.split()
        if len(fields) != _FIELDS or not fields[3].isdecimal():
            message = "expected `name version sha256 size path`"
            raise ImageError(message, where=f"{path}:{number}", advice=RENEW)
        debs.append(Deb(fields[0], fields[1], fields[2], int(fields[3]), fields[4]))
    return DebianLock(first.rpartition(" ")[2], tuple(debs))


def write_debs(path: Path, lock: DebianLock) -> None:
    """Write a lock, sorted by name."""
    lines = [f"{deb.name} {deb.version} {deb.sha256} {deb.size} {deb.path}" for deb in sorted(lock.debs)]
    write_atomic(path, "\n".join([f"# mirrored at {lock.moment}", *lines, ""]).encode())


def fetch_debs(lock: DebianLock, folder: Path, source: Debian, emit: Emit) -> list[Path]:
    """Return the files of a lock in its order, fetched into `folder` if need be; each is hashed at every use.

    Mirrors keep the newest versions only; a snapshot of the archive keeps every one. Raises ImageError when none
    has a file, or when what it has is another file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [deb for deb in lock.debs if not _is_there(deb, folder)]
    if missing:
        known_mirrors(source)
    for done, deb in enumerate(missing, start=1):
        _fetch(deb, folder, list(_addresses(deb, lock.moment, source)))
        emit("image.fetching", file=deb.file, done=done, total=len(missing))
    return [folder / deb.file for deb in lock.debs]


def known_mirrors(source: Debian) -> list[str]:
    """Return the mirrors. Raises ImageError where this machine names none."""
    if not source.mirrors:
        message = "no Debian mirror is known here"
        advice = "name one: DEBIAN_MIRRORS=<address>, its part before `/debian` (debian.org/mirror/list has them)"
        raise ImageError(message, where="DEBIAN_MIRRORS; /etc/apt", advice=advice)
    return source.mirrors


def _is_there(deb: Deb, folder: Path) -> bool:
    path = folder / deb.file
    return path.is_file() and path.stat().st_size == deb.size and digest_file(path) == deb.sha256


def _addresses(deb: Deb, moment: str, source: Debian) -> Iterable[str]:
    path = urllib.parse.quote(deb.path)
    archive, _, rest = path.partition("/")
    yield from (f"{mirror}/{path}" for mirror in source.mirrors)
    yield from (f"{snapshot}/{archive}/{moment}/{rest}" for snapshot in source.snapshots)


def _fetch(deb: Deb, folder: Path, addresses: list[str]) -> None:
    """Fetch one file from the first address that has it."""
    refusals: list[str] = []
    for address in addresses:
        try:
            with urllib.request.urlopen(address, timeout=_WAIT_S) as answer:  # noqa: S310 - of our settings, checked by hash
                data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            refusals.append(f"{address}: {error}")
            continue
        write_atomic(folder / deb.file, data)
        if _is_there(deb, folder):
            return
        (folder / deb.file).unlink()
        message = f"{deb.file} is not the file that the lock names: expected sha256 {deb.sha256}, {deb.size} bytes"
        raise ImageError(message, where=address, advice="do not use this mirror: name another in DEBIAN_MIRRORS")
    message = f"no mirror has {deb.name} {deb.version} (any more)\n" + "\n".join(refusals)
    advice = f"where the network is up, the version was replaced: {RENEW}"
    raise ImageError(message, where=deb.path, advice=advice)
