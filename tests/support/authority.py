"""A certificate authority of a test's own: a root, one between, and certificates of signers."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pipeline.signing.keys import read_private_key
from tests.support.released import write_key

_DAY = dt.timedelta(days=1)


class Authority:
    """Files below a folder: `root` and `intermediate` are certificates in PEM."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._root_key = read_private_key(write_key(folder / "root-key.pem"))
        self._between_key = read_private_key(write_key(folder / "intermediate-key.pem"))
        now = dt.datetime.now(dt.UTC)
        span = (now - 1000 * _DAY, now + 1000 * _DAY)
        root = self._issue("CN=root", self._root_key, "CN=root", self._root_key, span, authority=True)
        between = self._issue("CN=intermediate", self._between_key, "CN=root", self._root_key, span, authority=True)
        self.root = self._write("root.pem", root)
        self.intermediate = self._write("intermediate.pem", between)

    def signer(
        self, subject: str, *, days: tuple[int, int] = (-10, 10), may_sign: bool = True, by_root: bool = False
    ) -> tuple[Path, Path]:
        """Return key and certificate of a signer; `days` from now between which it is valid."""
        now = dt.datetime.now(dt.UTC)
        path = write_key(self._folder / "signer-key.pem")
        span = (now + days[0] * _DAY, now + days[1] * _DAY)
        key = read_private_key(path)
        by = ("CN=root", self._root_key) if by_root else ("CN=intermediate", self._between_key)
        issued = self._issue(subject, key, *by, span, may_sign=may_sign)
        return path, self._write("signer.pem", issued)

    def _write(self, name: str, certificate: x509.Certificate) -> Path:
        path = self._folder / name
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return path

    @staticmethod
    def _issue(
        subject: str,
        key: ec.EllipticCurvePrivateKey,
        issuer: str,
        issuer_key: ec.EllipticCurvePrivateKey,
        span: tuple[dt.datetime, dt.datetime],
        *,
        authority: bool = False,
        may_sign: bool = True,
    ) -> x509.Certificate:
        usage = x509.KeyUsage(
            digital_signature=may_sign and not authority,
            content_commitment=False,
            key_encipherment=not may_sign,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=authority,
            crl_sign=authority,
            encipher_only=False,
            decipher_only=False,
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name.from_rfc4514_string(subject))
            .issuer_name(x509.Name.from_rfc4514_string(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(span[0])
            .not_valid_after(span[1])
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(usage, critical=True)
        )
        return builder.sign(issuer_key, hashes.SHA256())
