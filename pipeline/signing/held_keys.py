"""The signing package's signers, with keys and certificates that are in memory already.

The package reads files by their names. Between the check of a key's file and a second reading by its name the file may
have become another, or one that others can read; and envelopes and seal would be signed by two keys. `_signing` is the
package's own; its version is pinned by the lock, and the tests hold every signature against its command line.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from model_signing._signing import sign_certificate, sign_ec_key


class HeldKey(sign_ec_key.Signer):
    """Signs with a key, and names it by the digest of its public half."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        """Keep the key; nothing is read."""
        self._private_key = key


class HeldCertificate(sign_certificate.Signer):
    """Signs with a key; the signature carries the certificate, and those between it and the root."""

    def __init__(
        self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate, chain: Sequence[x509.Certificate]
    ) -> None:
        """Keep them; nothing is read."""
        self._private_key = key
        self._signing_certificate = certificate
        self._trust_chain = list(chain)
