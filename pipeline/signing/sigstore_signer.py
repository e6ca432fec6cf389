"""A signer without a key of its own: an OpenID identity that Sigstore vouches for. Needs a network.

The identity is taken from the surroundings (a workflow of GitHub, GitLab ...), else a browser asks for it. Every
envelope, and the folder, is signed with a key that lives minutes; certificate and log entry go with each signature.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import ReleaseError
from pipeline.signing.envelope import IN_TOTO

_ADVICE = "sign where Sigstore can be reached, name your own with --sigstore-trust, or sign with --key"


class SigstoreSigner:
    """Signs by Sigstore's public instance, or by one whose trust configuration is a file."""

    def __init__(self, trust: Path | None = None) -> None:
        self._trust = trust

    def envelope(self, payload: bytes, payload_type: str = IN_TOTO) -> dict[str, Any]:
        """Return a DSSE envelope with the certificate and log entry beside it, as `verificationMaterial`.

        DSSE lets readers pass over further members; `bundle_of` in `verifying` makes a Sigstore bundle of it again.
        Raises ReleaseError where Sigstore is not reached, or does not vouch.
        """
        if payload_type != IN_TOTO:
            message = f"Sigstore signs in-toto statements, not {payload_type!r}"
            raise ReleaseError(message, where="--sigstore", advice="sign this with --key")
        from sigstore.dsse import Statement  # noqa: PLC0415 - 0.7 s

        try:
            with self._context().signer(self._identity()) as signer:
                bundle = json.loads(signer.sign_dsse(Statement(payload)).to_json())
        except Exception as error:
            raise _not_signed(error) from error
        return {**bundle["dsseEnvelope"], "verificationMaterial": bundle["verificationMaterial"]}

    def seal(self, folder: Path, known: Mapping[str, str] | None = None) -> None:
        """Write `model.sig` over every file of `folder`. Raises ReleaseError as `envelope` does."""
        from pipeline.signing.sealing import configuration, seal  # noqa: PLC0415 - loads Sigstore: 0.7 s

        try:
            configured = configuration().use_sigstore_signer(use_ambient_credentials=True, trust_config=self._trust)
            seal(folder, configured, known)
        except ReleaseError:
            raise
        except Exception as error:
            raise _not_signed(error) from error

    def public_files(self) -> dict[str, bytes]:
        """Nothing: each signature holds its certificate."""
        return {}

    def describe(self) -> dict[str, str]:
        """Say which Sigstore; whom it vouches for is known when it has signed."""
        return {"kind": "sigstore", "instance": self._trust.name if self._trust else "public"}

    def _configuration(self) -> Any:
        from sigstore.models import ClientTrustConfig  # noqa: PLC0415 - 0.7 s

        if self._trust is None:
            return ClientTrustConfig.production()
        return ClientTrustConfig.from_json(self._trust.read_text(encoding="utf-8"))

    def _context(self) -> Any:
        from sigstore.sign import SigningContext  # noqa: PLC0415 - 0.7 s

        return SigningContext.from_trust_config(self._configuration())

    def _identity(self) -> Any:
        from sigstore import oidc  # noqa: PLC0415 - 0.7 s

        client = "sigstore"
        token = oidc.detect_credential(client)
        if token:
            return oidc.IdentityToken(token, client)
        return oidc.Issuer(self._configuration().signing_config.get_oidc_url()).identity_token(client_id=client)


def _not_signed(error: Exception) -> ReleaseError:
    """Return the error for whatever Sigstore's client raises: it has no one family, and its text names no secret."""
    cause = f" ({error.__cause__})" if error.__cause__ else ""
    message = f"Sigstore did not sign: {type(error).__name__}: {error}{cause}"
    return ReleaseError(message[:600], where="--sigstore", advice=_ADVICE)
