"""A signer with a private key in a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.releasing.layout import PUBLIC_KEY
from pipeline.signing.envelope import IN_TOTO, signed_envelope
from pipeline.signing.keys import fingerprint, pem, read_private_key


class KeySigner:
    """Signs with a key that whoever verifies knows by its fingerprint or its public half."""

    def __init__(self, path: Path) -> None:
        """Read the key. Raises ReleaseError."""
        self._key = read_private_key(path)

    def envelope(self, payload: bytes, payload_type: str = IN_TOTO) -> dict[str, Any]:
        """Return a DSSE envelope round `payload`; the same bytes each time."""
        return signed_envelope(payload, payload_type, self._key)

    def seal(self, folder: Path, known: Mapping[str, str] | None = None) -> None:
        """Write `model.sig` over every file of `folder`, with the key of the envelopes. Raises ReleaseError."""
        from pipeline.signing.held_keys import HeldKey  # noqa: PLC0415 - loads Sigstore: 0.7 s
        from pipeline.signing.sealing import configuration, seal  # noqa: PLC0415

        seal(folder, configuration(HeldKey(self._key)), known)

    def public_files(self) -> dict[str, bytes]:
        """Return the public key, under its name in the folder."""
        return {PUBLIC_KEY: pem(self._key.public_key())}

    def describe(self) -> dict[str, str]:
        """Name the key."""
        return {"kind": "key", "fingerprint": fingerprint(self._key.public_key())}
