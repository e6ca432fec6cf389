"""A signer whose signatures have the form of Sigstore's, and a certificate of nobody's."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from pipeline.releasing.layout import SIGNATURE
from pipeline.signing.key_signer import KeySigner
from pipeline.signing.keys import read_private_key
from tests.support.released import rewrite

IDENTITY = "somebody@example.org"


class LikeSigstore(KeySigner):
    """Signs with a key, and puts a certificate with an e-mail address beside each signature."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        key = read_private_key(path)
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(x509.Name.from_rfc4514_string("CN=x"))
        )
        builder = builder.public_key(key.public_key()).serial_number(7)
        builder = builder.not_valid_before(now).not_valid_after(now + dt.timedelta(minutes=10))
        named = x509.SubjectAlternativeName([x509.RFC822Name(IDENTITY)])
        issued = builder.add_extension(named, critical=True).sign(key, hashes.SHA256())
        raw = base64.b64encode(issued.public_bytes(serialization.Encoding.DER)).decode()
        self._material = {"certificate": {"rawBytes": raw}, "tlogEntries": []}

    def envelope(self, payload: bytes, payload_type: str = "application/vnd.in-toto+json") -> dict[str, Any]:
        """Return an envelope with the certificate beside it."""
        return {**super().envelope(payload, payload_type), "verificationMaterial": self._material}

    def seal(self, folder: Path, known: Mapping[str, str] | None = None) -> None:
        """Write a signature with the certificate in it."""
        super().seal(folder, known)
        rewrite(folder / SIGNATURE, lambda bundle: {**bundle, "verificationMaterial": self._material})

    def public_files(self) -> dict[str, bytes]:
        """Nothing, as Sigstore's signer."""
        return {}
