"""The signature over a whole folder, written by the package `model-signing`."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from model_signing import signing

from pipeline.digest import digest_folder
from pipeline.errors import ReleaseError
from pipeline.files import sync_folder
from pipeline.releasing.layout import SIGNATURE
from pipeline.signing.known_digests import KnownDigests


def configuration() -> signing.Config:
    """Return the package's configuration, for a signer to be chosen."""
    return signing.Config()  # type: ignore[no-untyped-call] # the package leaves it without types


def seal(folder: Path, configured: signing.Config) -> None:
    """Write `model.sig` over every file that lies in `folder`; an older one is replaced at once.

    Raises ReleaseError for a folder that holds anything but files, and OSError.
    """
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or not path.is_file():
            message = f"the folder cannot be signed: {path.name} is not a regular file"
            raise ReleaseError(message, where=str(folder), advice="a release is flat, and holds regular files only")
    entries = digest_folder(folder)
    digests = {entry.path: entry.sha256 for entry in entries if entry.path != SIGNATURE}
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
