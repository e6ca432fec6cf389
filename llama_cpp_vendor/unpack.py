"""Unpack the verified archive safely: a whole tree or none, its digest equal to the pin's.

Only plain files below one top folder are accepted. Links, devices, absolute paths and `..` are
refused rather than skipped: the pinned archive has none, so one that has is not the pinned archive.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from llama_cpp_vendor.pin import Pin
from pipeline.errors import VendorError

MAX_BYTES = 1 << 29
"""Bytes that an archive may unpack to, headers with them; the pinned one has 216 MB, its largest file 38 MB."""
MAX_FILE_BYTES = 1 << 28

_GIT_HEAD = ".git/modules/vendor/llama.cpp/HEAD"
_REFUSED = "do not use this archive: delete it and fetch it again from an index that you trust"


SCRIPTS = ("convert_hf_to_gguf.py", "conversion", "gguf-py")
"""What stages run of llama.cpp's own folder."""


def present(pin: Pin, cache: Path, *, verify: bool = False) -> Path | None:
    """Return the unpacked tree `cache/trees/<name>-<digest>`; None when it is not there.

    The scripts are hashed each time, every file of the tree with `verify`. A tree that differs is removed.
    """
    tree = _tree(pin, cache)
    if not tree.is_dir():
        return None
    found, expected = (tree_sha256(tree), pin.tree_sha256) if verify else (scripts_sha256(tree), pin.scripts_sha256)
    if found == expected:
        return tree
    _set_aside(tree)
    return None


def unpack(archive: Path, pin: Pin, cache: Path, *, verify: bool = False) -> Path:
    """Return the tree of `present`; unpack it when it is not there or differs.

    The folder appears whole, by one rename. Raises `VendorError`.
    """
    tree = present(pin, cache, verify=verify)
    if tree is not None:
        return tree
    tree = _tree(pin, cache)
    tree.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=tree.parent) as folder:
        fresh = Path(folder) / "tree"
        extract(archive, pin, fresh)
        _check_tree(fresh, pin, archive)
        try:
            fresh.rename(tree)
        except OSError:
            if not tree.is_dir():  # otherwise another process finished first, with the same digest
                raise
    return tree


def _tree(pin: Pin, cache: Path) -> Path:
    return cache / "trees" / f"{pin.top_folder}-{pin.tree_sha256[:16]}"


def converter_folder(tree: Path) -> Path:
    """Return llama.cpp's own folder in an unpacked tree: convert_hf_to_gguf.py, conversion/, gguf-py/."""
    return tree / "vendor" / "llama.cpp"


def extract(archive: Path, pin: Pin, folder: Path) -> None:
    """Write the archive's files, without git metadata, below `folder`. Raises `VendorError`.

    Modes become 0644 or 0755 and nothing else of the archive's metadata is kept.
    """
    commit = ""
    try:
        with gzip.open(archive) as packed:
            bounded: Any = _Bounded(packed)
            stream = tarfile.open(fileobj=bounded, mode="r:")  # noqa: SIM115 - what it reads is closed above
            for member in stream:
                path = _safe_path(member, pin, archive)
                if path is None:
                    continue
                if str(path) == _GIT_HEAD:
                    commit = _content(stream, member).decode("ascii", "replace").strip()
                if ".git" not in path.parts:
                    _write(
                        folder / path, _content(stream, member), executable=bool(member.mode & 0o100), archive=archive
                    )
    except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError, OverflowError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL):
            raise
        raise VendorError(f"the llama.cpp archive is damaged: {error}", where=str(archive), advice=_REFUSED) from error
    if commit != pin.commit:
        raise VendorError(
            f"the archive holds another llama.cpp commit: expected {pin.commit}, found {commit or 'none'}",
            where=f"{archive}: {_GIT_HEAD}",
            advice=_REFUSED,
        )


class _Bounded:
    """What a compressed file holds, up to `MAX_BYTES`: a small file may hold any amount, and a header claim any.

    Raises tarfile.ReadError past a bound, before anything is reserved.
    """

    def __init__(self, packed: gzip.GzipFile) -> None:
        self._packed = packed

    def read(self, size: int) -> bytes:
        """Read the next bytes."""
        if not 0 <= size <= MAX_FILE_BYTES:
            message = f"a part of {size:,} bytes"
            raise tarfile.ReadError(message)
        found = self._packed.read(size)
        self._check(self.tell())
        return found

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, which is further on."""
        self._check(position)
        return self._packed.seek(position, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._packed.tell()

    def seekable(self) -> bool:
        """Say that it can be."""
        return True

    def _check(self, position: int) -> None:
        if position > MAX_BYTES:
            message = f"it unpacks to more than {MAX_BYTES:,} bytes"
            raise tarfile.ReadError(message)


def _safe_path(member: tarfile.TarInfo, pin: Pin, archive: Path) -> PurePosixPath | None:
    """Return the member's path below the top folder, None for a plain folder; refuse everything unsafe."""
    path = PurePosixPath(member.name)
    inside = not path.is_absolute() and ".." not in path.parts and path.parts[:1] == (pin.top_folder,)
    clean = inside and member.name.isprintable() and "\\" not in member.name
    if member.size > MAX_FILE_BYTES:
        message = f"the archive has a file of {member.size:,} bytes: {member.name[:200]!r}"
        raise VendorError(message, where=str(archive), advice=_REFUSED)
    if member.isdir() and clean:
        return None
    if not member.isreg() or member.issparse() or not clean or path.parts == (pin.top_folder,):
        kind = (
            "a link" if member.islnk() or member.issym() else "no plain file" if clean else "a path outside its folder"
        )
        raise VendorError(
            f"the archive has a member that is {kind}: {member.name!r}", where=str(archive), advice=_REFUSED
        )
    return path.relative_to(pin.top_folder)


def _content(stream: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Return a plain member's bytes."""
    source = stream.extractfile(member)
    return source.read() if source is not None else b""


def _write(path: Path, content: bytes, *, executable: bool, archive: Path) -> None:
    """Write one new file; two members of one name, or a file where a folder is needed, are refused."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755 if executable else 0o644)
    except (FileExistsError, NotADirectoryError) as error:
        raise VendorError(
            f"the archive names one path twice: {path.name!r}", where=str(archive), advice=_REFUSED
        ) from error
    with os.fdopen(descriptor, "wb") as target:
        target.write(content)
        os.fchmod(target.fileno(), 0o755 if executable else 0o644)


def tree_lines(folder: Path, below: Iterable[Path] | None = None) -> Iterator[str]:
    """Yield `<sha256>  <path>` for every file below `folder`, sorted by path; anything not a file is named as such.

    `below` restricts this to some files and folders of it.
    """
    tops = [folder] if below is None else list(below)
    found = {path for top in tops for path in (top, *top.rglob("*")) if path != folder}
    for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in found):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            yield f"not a plain file  {name}"
        elif path.is_file():
            with path.open("rb") as stream:
                yield f"{hashlib.file_digest(stream, 'sha256').hexdigest()}  {name}"


def tree_sha256(folder: Path) -> str:
    """Return the digest of a tree: sha256 over the lines of `tree_lines`, each ended by a line break."""
    return _sha256_of_lines(tree_lines(folder))


def scripts_sha256(tree: Path) -> str:
    """Return the digest of what stages run of an unpacked tree, made as `tree_sha256`, paths from the tree's root."""
    return _sha256_of_lines(tree_lines(tree, (converter_folder(tree) / name for name in SCRIPTS)))


def _sha256_of_lines(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def _check_tree(folder: Path, pin: Pin, archive: Path) -> None:
    """Refuse a fresh tree that is not the pinned one."""
    found = tree_sha256(folder)
    if found != pin.tree_sha256:
        raise VendorError(
            f"the unpacked llama.cpp tree differs from the pin: expected {pin.tree_sha256}, found {found}",
            where=str(archive),
            advice="pin.toml and the archive do not belong together: take both from one commit of this repository",
        )


def _set_aside(tree: Path) -> None:
    """Move a tree that was altered out of the way, and delete it."""
    folder = Path(tempfile.mkdtemp(prefix=".altered-", dir=tree.parent))
    tree.rename(folder / "tree")
    shutil.rmtree(folder)
