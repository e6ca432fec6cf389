"""Who signs a release: what the command line names, or the local key. Standard library only at import."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from pipeline.errors import UsageError
from pipeline.signing.envelope import IN_TOTO


class Signer(Protocol):
    """One identity that signs everything of a release."""

    def envelope(self, payload: bytes, payload_type: str = IN_TOTO) -> dict[str, Any]:
        """Return a DSSE envelope round `payload`, as JSON values."""
        ...

    def seal(self, folder: Path, known: Mapping[str, str] | None = None) -> None:
        """Write `model.sig` over every file that lies in `folder`; `known` is name → sha256 of each, if it is known."""
        ...

    def public_files(self) -> dict[str, bytes]:
        """Return the files that belong into the folder before it is sealed."""
        ...

    def describe(self) -> dict[str, str]:
        """Say who signs, for the log. Nothing secret."""
        ...


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say who signs."""
    group = parser.add_argument_group(
        "who signs", "without any of these: a key of your own, made once (docs/verifying.md)"
    )
    group.add_argument("--key", type=Path, metavar="FILE", help="sign with this private key (PEM, an elliptic curve)")
    group.add_argument("--certificate", type=Path, metavar="FILE", help="the key's certificate (PEM); needs --key")
    group.add_argument(
        "--chain",
        type=Path,
        action="append",
        metavar="FILE",
        help="certificates between --certificate and the root (PEM); may be given again",
    )
    group.add_argument("--sigstore", action="store_true", help="sign with a Sigstore identity; needs a network")
    group.add_argument(
        "--sigstore-trust", type=Path, metavar="FILE", help="trust configuration of a Sigstore of your own (JSON)"
    )


def signer_of(options: argparse.Namespace) -> Signer:
    """Return who signs. Raises UsageError for options that exclude each other, ReleaseError for a key of no use."""
    _check(options)
    if options.sigstore:
        from pipeline.signing.sigstore_signer import SigstoreSigner  # noqa: PLC0415 - heavy, and needs a network

        return SigstoreSigner(options.sigstore_trust)
    if options.certificate:
        from pipeline.signing.certificate_signer import CertificateSigner  # noqa: PLC0415 - loads `cryptography`

        return CertificateSigner(options.key, options.certificate, tuple(options.chain or ()))
    from pipeline.signing.key_signer import KeySigner  # noqa: PLC0415 - as above
    from pipeline.signing.local_key import local_key  # noqa: PLC0415 - as above

    return KeySigner(options.key or local_key())


def _check(options: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    where = "the options that say who signs"
    if options.sigstore and (options.key or options.certificate or options.chain):
        message = "--sigstore is an identity of its own: it goes with neither --key nor --certificate"
        raise UsageError(message, where=where, advice="name one of them")
    if options.sigstore_trust and not options.sigstore:
        message = "--sigstore-trust says nothing without --sigstore"
        raise UsageError(message, where=where, advice="add --sigstore, or leave it out")
    if options.certificate and not options.key:
        message = "a certificate signs with its key"
        raise UsageError(message, where="--certificate", advice="name the private key with --key FILE")
    if options.chain and not options.certificate:
        message = "a chain of certificates leads from a certificate"
        raise UsageError(message, where="--chain", advice="name the signing certificate with --certificate FILE")
