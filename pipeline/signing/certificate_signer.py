"""A signer with a private key and a certificate of an authority that whoever verifies trusts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography import x509

from pipeline.errors import ReleaseError
from pipeline.signing.certificates import may_sign, read_certificates
from pipeline.signing.envelope import IN_TOTO, signed_envelope
from pipeline.signing.keys import fingerprint, read_private_key


class CertificateSigner:
    """Signs with a key; `model.sig` carries its certificate and those between it and the root."""

    def __init__(self, key: Path, certificate: Path, chain: tuple[Path, ...]) -> None:
        """Read key and certificates. Raises ReleaseError, also where they do not belong together."""
        self._key = read_private_key(key)
        found = read_certificates(certificate)
        self._certificate = found[0]
        where = str(certificate)
        if len(found) != 1:
            message = f"the file holds {len(found)} certificates, not the signing one alone"
            raise ReleaseError(message, where=where, advice="put the others into a file of their own: --chain FILE")
        if self._certificate.public_key() != self._key.public_key():
            message = "the certificate is of another key"
            raise ReleaseError(message, where=where, advice=f"name the certificate that was issued for {key}")
        if not may_sign(self._certificate):
            message = "the certificate's usage does not allow signatures"
            raise ReleaseError(message, where=where, advice="ask for one with digitalSignature or codeSigning")
        self._chain = [one for path in chain for one in read_certificates(path)]

    def envelope(self, payload: bytes, payload_type: str = IN_TOTO) -> dict[str, Any]:
        """Return a DSSE envelope round `payload`; the same bytes each time. Its certificate stands in `model.sig`."""
        return signed_envelope(payload, payload_type, self._key)

    def seal(self, folder: Path, known: Mapping[str, str] | None = None) -> None:
        """Write `model.sig` over every file of `folder`, with the key of the envelopes. Raises ReleaseError."""
        from pipeline.signing.held_keys import HeldCertificate  # noqa: PLC0415 - loads Sigstore: 0.7 s
        from pipeline.signing.sealing import configuration, seal  # noqa: PLC0415

        seal(folder, configuration(HeldCertificate(self._key, self._certificate, self._chain)), known)

    def public_files(self) -> dict[str, bytes]:
        """Nothing: the signature holds the certificates."""
        return {}

    def describe(self) -> dict[str, str]:
        """Name the certificate's subject and issuer, and the key."""
        return {"kind": "certificate", "fingerprint": fingerprint(self._key.public_key()), **_names(self._certificate)}


def _names(certificate: x509.Certificate) -> dict[str, str]:
    return {"subject": certificate.subject.rfc4514_string(), "issuer": certificate.issuer.rfc4514_string()}
