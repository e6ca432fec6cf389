"""Folders to tar streams and back, hashed on the way: nothing is held in memory or written twice."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.errors import EngineError

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Entry:
    """One thing in an archive: a file with the bytes of `source`, or a folder."""

    path: PurePosixPath
    source: Path | None = None
    user: tuple[int, int] = (0, 0)


def pack(entries: Iterable[Entry], digests: dict[str, str]) -> Iterator[bytes]:
    """Yield a tar archive in pieces; `digests` fills with the sha256 of each file, by its path."""
    for entry in entries:
        info = tarfile.TarInfo(str(entry.path))
        info.uid, info.gid = entry.user
        if entry.source is None:
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            yield info.tobuf(tarfile.PAX_FORMAT)
            continue
        info.size, info.mode = entry.source.stat().st_size, 0o644
        yield info.tobuf(tarfile.PAX_FORMAT)
        digest = hashlib.sha256()
        sent = 0
        with entry.source.open("rb") as stream:
            while piece := stream.read(_CHUNK_BYTES):
                digest.update(piece)
                sent += len(piece)
                yield piece
        if sent != info.size:
            raise EngineError("a file changed while it was sent", where=str(entry.source), advice="run again")
        yield bytes(-sent % tarfile.BLOCKSIZE)
        digests[str(entry.path)] = digest.hexdigest()
    yield bytes(2 * tarfile.BLOCKSIZE)


def unpack(pieces: Iterable[bytes], folder: Path) -> dict[str, str]:
    """Write an archive's content below `folder` and return the sha256 of each file, by its path without the first part.

    Anything but plain files and folders is refused, and so is a path that leads out.
    """
    digests: dict[str, str] = {}
    with tarfile.open(fileobj=_Stream(pieces), mode="r|") as archive:
        for member in archive:
            path = PurePosixPath(*PurePosixPath(member.name).parts[1:])
            if ".." in path.parts or path.is_absolute() or not (member.isfile() or member.isdir()):
                advice = "jobs make plain files and folders; please report this stage"
                raise EngineError("an engine sent what is no plain file", where=member.name, advice=advice)
            target = folder / path
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            digests[str(path)] = _write(archive.extractfile(member) or io.BytesIO(), target)
    return digests


def compare(here: Mapping[str, str], there: Mapping[str, str], url: str) -> None:
    """Raise EngineError and name the files unless both sides have the same."""
    different = sorted(name for name in {*here, *there} if here.get(name) != there.get(name))
    if different:
        message = f"{len(different)} files are not the same here and on the engine: {', '.join(different[:5])}"
        raise EngineError(message, where=url, advice="check the connection and the disks, then run again")


def _write(stream: object, target: Path) -> str:
    digest = hashlib.sha256()
    with target.open("wb") as file:
        while piece := stream.read(_CHUNK_BYTES):  # type: ignore[attr-defined]  # tarfile's reader
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


class _Stream(io.RawIOBase):
    """Pieces of bytes, read as a file."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """Return exactly `size` bytes, fewer only at the end."""
        parts = [self._rest]
        have = len(self._rest)
        while have < size or size < 0:
            piece = next(self._pieces, None)
            if piece is None:
                break
            parts.append(piece)
            have += len(piece)
        data = b"".join(parts)
        self._rest = data[size:] if size >= 0 else b""
        return data[:size] if size >= 0 else data
