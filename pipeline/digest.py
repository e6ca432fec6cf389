"""Digests: sha256 of files, of canonical JSON, and of whole folders."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, order=True)
class FileEntry:
    """One file of an artifact: its path inside (always with `/`), size in bytes, sha256 in hex."""

    path: str
    size: int
    sha256: str


def canonical_json(value: Any) -> bytes:
    """Encode JSON in the one form that digests are made of: sorted keys, no spaces, UTF-8, no NaN."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def digest_json(value: Any) -> str:
    """Return the sha256 (hex) of a JSON value's canonical form."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def digest_file(path: Path) -> str:
    """Return the sha256 (hex) of a file's bytes. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def list_files(folder: Path) -> list[Path]:
    """Return every regular file below `folder`, sorted by path; anything else is a ValueError."""
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in names:
            path = Path(parent) / name
            if path.is_symlink() or not path.is_file():
                message = f"not a regular file: {path.relative_to(folder)}"
                raise ValueError(message)
            found.append(path)
    return sorted(found)


def digest_folder(folder: Path) -> tuple[FileEntry, ...]:
    """Hash every file below `folder`, two at a time; the order is by path whatever finishes first."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - not on the path of an unchanged run

    paths = list_files(folder)
    with ThreadPoolExecutor(max_workers=2) as pool:  # hashlib frees the interpreter lock
        digests = list(pool.map(digest_file, paths))
    return tuple(
        sorted(
            FileEntry(path.relative_to(folder).as_posix(), path.stat().st_size, digest)
            for path, digest in zip(paths, digests, strict=True)
        )
    )


def digest_entries(entries: tuple[FileEntry, ...]) -> str:
    """Return the digest that names a folder's content: sha256 over its sorted file list."""
    return digest_json([[entry.path, entry.size, entry.sha256] for entry in sorted(entries)])
