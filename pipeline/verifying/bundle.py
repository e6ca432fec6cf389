"""`model.sig`: who it says made it. What it says is believed only once the signature has been verified."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from pipeline.releasing.layout import SIGNATURE
from pipeline.signing.envelope import open_envelope
from pipeline.signing.keys import usable
from pipeline.verifying.papers import failed, member, read_json

_MAX_CERTIFICATES = 10
_ODD = (x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType)
"""What the library raises for certificates that nobody issues, beside ValueError."""


@dataclass(frozen=True)
class Bundle:
    """A Sigstore bundle: `raw` its JSON; `hint` the digest of a key's PEM, or `chain` certificates, signer first."""

    raw: dict[str, Any]
    kind: Literal["key", "certificate", "sigstore"]
    hint: str
    chain: tuple[x509.Certificate, ...]

    @property
    def key(self) -> EllipticCurvePublicKey:
        """The key of the signer's certificate. Raises ReleaseError for one of another kind."""
        return usable(self.chain[0].public_key(), SIGNATURE)


def read_bundle(content: bytes) -> Bundle:
    """Read a bundle of any of the three kinds. Raises ReleaseError; exactly one signature is read."""
    raw = read_json(content, SIGNATURE)
    material = member(raw, "verificationMaterial", dict, SIGNATURE)
    open_envelope(member(raw, "dsseEnvelope", dict, SIGNATURE), SIGNATURE)
    kinds = [name for name in ("publicKey", "x509CertificateChain", "certificate") if name in material]
    if kinds == ["publicKey"]:
        return Bundle(raw, "key", member(material, "publicKey/hint", str, SIGNATURE), ())
    if kinds == ["x509CertificateChain"]:
        return Bundle(raw, "certificate", "", _chain(material))
    if kinds == ["certificate"]:
        return Bundle(raw, "sigstore", "", (certificate_of(material["certificate"], SIGNATURE),))
    raise failed(f"{SIGNATURE} does not say what it was made with: a key, certificates, or Sigstore", SIGNATURE)


def _chain(material: dict[str, Any]) -> tuple[x509.Certificate, ...]:
    """Return the certificates, every one of them: one that is passed over could be the one that has expired."""
    listed = member(material, "x509CertificateChain/certificates", list, SIGNATURE)
    if not 1 <= len(listed) <= _MAX_CERTIFICATES:
        message = f"{SIGNATURE} holds {len(listed) or 'no'} certificates; it may hold one to {_MAX_CERTIFICATES}"
        raise failed(message, SIGNATURE)
    return tuple(certificate_of(one, SIGNATURE) for one in listed)


def certificate_of(value: Any, where: str) -> x509.Certificate:
    """Return the certificate that a table of a bundle holds. Raises ReleaseError, also for what only its use shows."""
    text = member(value, "rawBytes", str, where)
    try:
        found = x509.load_der_x509_certificate(base64.b64decode(text, validate=True))
        _ = found.public_key(), found.extensions, found.not_valid_after_utc, found.not_valid_before_utc
        _ = found.subject.rfc4514_string(), found.issuer.rfc4514_string()
    except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm, *_ODD) as error:
        raise failed(f"{where} holds a certificate that cannot be read", where) from error
    return found
