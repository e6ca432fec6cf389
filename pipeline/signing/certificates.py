"""X.509 certificates of signers: read from files, and what they allow."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from pipeline.errors import ReleaseError

_MAX_BYTES = 1 << 20
_ADVICE = "a certificate in PEM begins with -----BEGIN CERTIFICATE-----"


def read_certificates(path: Path) -> list[x509.Certificate]:
    """Read one or more certificates from a PEM file. Raises ReleaseError."""
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_BYTES)
        return x509.load_pem_x509_certificates(content)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no certificate in PEM"
        raise ReleaseError(f"a certificate cannot be read: {why}", where=str(path), advice=_ADVICE) from error


def may_sign(certificate: x509.Certificate) -> bool:
    """Tell whether a certificate allows signatures (digitalSignature, or codeSigning), as `model-signing` asks."""
    try:
        if certificate.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature:
            return True
    except x509.ExtensionNotFound:
        pass
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.CODE_SIGNING in usages
