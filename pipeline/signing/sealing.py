"""The signature over a whole folder, written by the package `model-signing`."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from model_signing import signing
from model_signing._signing.signing import Signer

from pipeline.digest import digest_folder
from pipeline.errors import ReleaseError
from pipeline.files import sync_folder
from pipeline.releasing.layout import SIGNATURE
from pipeline.signing.known_digests import KnownDigests


def configuration(signer: Signer | None = None) -> signing.Config:
    """Return the package's configuration: with a signer of ours, or for one of its own to be chosen."""
    configured = signing.Config()  # type: ignore[no-untyped-call] # the package leaves it without types
    configured._signer = signer  # noqa: SLF001 - its own ways of setting one all read files
    return configured


def seal(folder: Path, configured: signing.Config, known: Mapping[str, str] | None = None) -> None:
    """Write `model.sig` over every file that lies in `folder`; an older one is replaced at once.

    `known` is name → sha256 of each file but the signature. It is what gets signed, and nothing is read; without it
    every file is hashed. Raises ReleaseError for a folder that holds anything but files, or others than are known, and
    OSError.
    """
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or not path.is_file():
            message = f"the folder cannot be signed: {path.name} is not a regular file"
            raise ReleaseError(message, where=str(folder), advice="a release is flat, and holds regular files only")
    found = _hashed(folder) if known is None else known
    digests = {name: sha256 for name, sha256 in found.items() if name != SIGNATURE}
    _refuse_others(folder, digests)
    temporary = (
        folder.parent / f".{SIGNATURE}.{os.getpid()}.{secrets.token_hex(4)}"
    )  # beside it: nothing half made in it
    try:
        configured.set_hashing_config(KnownDigests(digests)).sign(folder, temporary)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(folder / SIGNATURE)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(folder)


def _hashed(folder: Path) -> dict[str, str]:
    return {entry.path: entry.sha256 for entry in digest_folder(folder)}


def _refuse_others(folder: Path, digests: Mapping[str, str]) -> None:
    """Raise ReleaseError unless the digests are those of the files that lie there, no more and no less."""
    there = {path.name for path in folder.iterdir()} - {SIGNATURE}
    different = sorted(there ^ digests.keys())
    if different:
        became = "was added" if different[0] in there else "was removed"
        message = f"the folder cannot be signed: {different[0]} {became} after its files had been hashed"
        raise ReleaseError(message, where=str(folder), advice="look for what else writes there, then release again")
