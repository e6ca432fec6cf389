"""Elliptic-curve keys in files: read with care, named by their fingerprints."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pipeline.errors import ReleaseError

_MAX_BYTES = 1 << 16
"""Largest key file that is read. A P-521 key in PEM has 365 bytes."""

_HASHES: Mapping[str, Callable[[], hashes.HashAlgorithm]] = {
    "secp256r1": hashes.SHA256,
    "secp384r1": hashes.SHA384,
    "secp521r1": hashes.SHA512,
}
"""Curve → the hash that `model-signing` and Sigstore sign with (protobuf-specs, PublicKeyDetails)."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MAKE_ONE = "make one: openssl ecparam -name prime256v1 -genkey -noout -out key.pem && chmod 600 key.pem"


def hash_of(key: ec.EllipticCurvePublicKey) -> hashes.HashAlgorithm:
    """Return the hash that goes with a key's curve."""
    return _HASHES[key.curve.name]()


def pem(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return a public key as PEM."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """Return `sha256:` and the digest of the key's DER: `openssl pkey -pubin -in K -outform DER | sha256sum`."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(der).hexdigest()}"


def pem_digest(key: ec.EllipticCurvePublicKey) -> str:
    """Return the sha256 (hex) of the key's PEM, by which a signature of `model-signing` names its key."""
    return hashlib.sha256(pem(key)).hexdigest()


def read_private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Read a private key that nobody else may read. Raises ReleaseError; no message shows anything of the key."""
    content = _read(path, private=True)
    try:
        key = serialization.load_pem_private_key(content, None)
    except TypeError as error:
        advice = "sign with a copy without one: openssl pkey -in FILE -out COPY (umask 077)"
        raise ReleaseError("the private key is encrypted with a password", where=str(path), advice=advice) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ReleaseError("this is no private key in PEM", where=str(path), advice=_MAKE_ONE) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _HASHES:
        raise ReleaseError("the key is of another kind than P-256, P-384, P-521", where=str(path), advice=_MAKE_ONE)
    return key


def read_public_key(path: Path) -> ec.EllipticCurvePublicKey:
    """Read a public key from a PEM file. Raises ReleaseError."""
    return public_key(_read(path, private=False), str(path))


def public_key(content: bytes, where: str) -> ec.EllipticCurvePublicKey:
    """Return the public key that a PEM text holds. Raises ReleaseError."""
    advice = "a public key in PEM begins with -----BEGIN PUBLIC KEY-----"
    try:
        key = serialization.load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ReleaseError("this is no public key in PEM", where=where, advice=advice) from error
    return usable(key, where)


def usable(key: object, where: str) -> ec.EllipticCurvePublicKey:
    """Return a key that signatures here are made with. Raises ReleaseError for one of another kind."""
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _HASHES:
        message, advice = "the key is of another kind than P-256, P-384, P-521", "releases are signed with these curves"
        raise ReleaseError(message, where=where, advice=advice)
    return key


def _read(path: Path, *, private: bool) -> bytes:
    """Read a small regular file; a private one must belong to this user, and be closed to all others."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a named pipe is refused, not waited for
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ReleaseError(f"the key cannot be read: {why}", where=str(path), advice="check the name") from error
    with os.fdopen(handle, "rb") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
            message = "this is no key file"
            raise ReleaseError(message, where=str(path), advice="name a PEM file of at most 64 KiB")
        if private and status.st_mode & _OTHERS:
            message = f"others may read or change the private key (mode {stat.S_IMODE(status.st_mode):04o})"
            advice = "chmod 600 it; if others were on this machine, make a new key and tell who trusts the old one"
            raise ReleaseError(message, where=str(path), advice=advice)
        if private and status.st_uid != os.geteuid():
            message = "the private key belongs to another user"
            raise ReleaseError(message, where=str(path), advice="sign with a key of your own")
        return stream.read(_MAX_BYTES)
