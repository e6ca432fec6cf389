"""DSSE envelopes: a payload with its type and signatures over both (github.com/secure-systems-lab/dsse, v1.0).

Standard library only at import.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from pipeline.errors import ReleaseError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

IN_TOTO = "application/vnd.in-toto+json"
"""Payload type of an in-toto statement (in-toto attestation framework, spec/v1/envelope.md)."""


def pre_authentication_encoding(payload: bytes, payload_type: str) -> bytes:
    """Return what is signed: type and payload, each behind its length in bytes (DSSE v1.0, protocol.md, PAE)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def signed_envelope(payload: bytes, payload_type: str, key: EllipticCurvePrivateKey) -> dict[str, Any]:
    """Return an envelope round `payload` with the signature of `key`.

    The same payload and key give the same bytes (RFC 6979): a release made twice has equal envelopes.
    """
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - loads OpenSSL

    from pipeline.signing.keys import fingerprint, hash_of  # noqa: PLC0415

    scheme = ec.ECDSA(hash_of(key.public_key()), deterministic_signing=True)
    signature = key.sign(pre_authentication_encoding(payload, payload_type), scheme)
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": payload_type,
        "signatures": [{"keyid": fingerprint(key.public_key()), "sig": base64.b64encode(signature).decode()}],
    }


def open_envelope(envelope: Any, where: str) -> tuple[bytes, bytes]:
    """Return payload and signature of an in-toto envelope with exactly one signature, not yet verified.

    The key's name in it is not believed. Raises ReleaseError for anything else.
    """
    if type(envelope) is not dict:
        raise _malformed("is no JSON object", where)
    if envelope.get("payloadType") != IN_TOTO:
        raise _malformed(f"holds {str(envelope.get('payloadType'))[:80]!r}, not an in-toto statement", where)
    signatures = envelope.get("signatures")
    if type(signatures) is not list or len(signatures) != 1:
        count = len(signatures) if type(signatures) is list else "no list of"
        raise _malformed(f"has {count} signatures; exactly one is read, that of the release's signer", where)
    signature = signatures[0].get("sig") if type(signatures[0]) is dict else None
    return _bytes(envelope.get("payload"), "payload", where), _bytes(signature, "signature", where)


def is_signed_by(payload: bytes, signature: bytes, key: EllipticCurvePublicKey) -> bool:
    """Tell whether `signature` is that of `key` over an in-toto payload."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - loads OpenSSL
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    from pipeline.signing.keys import hash_of  # noqa: PLC0415

    try:
        key.verify(signature, pre_authentication_encoding(payload, IN_TOTO), ec.ECDSA(hash_of(key)))
    except InvalidSignature:
        return False
    return True


def _bytes(text: Any, what: str, where: str) -> bytes:
    """Decode base64; both alphabets are read, as the specification asks of a reader."""
    if type(text) is not str:
        raise _malformed(f"has no {what}", where)
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/").encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise _malformed(f"has a {what} that is not base64", where) from error


def _malformed(what: str, where: str) -> ReleaseError:
    return ReleaseError(
        f"an envelope {what}", where=where, advice="ask whoever handed it over for the file as it was released"
    )
