"""The key that signs when nobody names one: made once for this user, kept outside of every build."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pipeline.errors import ReleaseError
from pipeline.files import sync_folder

FOLDER, NAME = "fine-tune-pipeline", "signing-key.pem"


def local_key_path() -> Path:
    """Return where the key lies: below $XDG_CONFIG_HOME, or ~/.config (XDG Base Directory Specification).

    Raises ReleaseError where there is no home folder.
    """
    named = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    try:
        folder = named if named.is_absolute() else Path.home() / ".config"
    except RuntimeError as error:
        message = "there is no home folder for a signing key"
        raise ReleaseError(message, where="$HOME", advice="set XDG_CONFIG_HOME, or name a key with --key") from error
    return folder / FOLDER / NAME


def local_key() -> Path:
    """Return the path of the local key, made first where there is none (P-256, mode 0600). Raises ReleaseError."""
    path = local_key_path()
    try:
        if not os.path.lexists(path):
            _make(path)
    except OSError as error:
        message = f"a signing key cannot be made: {error.strerror}"
        raise ReleaseError(message, where=str(path), advice="set XDG_CONFIG_HOME, or name one with --key") from error
    return path


def _make(path: Path) -> None:
    """Make a key that is there whole or not at all. Of two processes at once, the later takes the earlier's key."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = ec.generate_private_key(ec.SECP256R1())
    content = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    temporary = path.with_name(f".{NAME}.{secrets.token_hex(8)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(temporary, path)  # unlike a rename it never replaces a key that is there
        except FileExistsError:
            return
        sync_folder(path.parent)
    finally:
        temporary.unlink()
