"""Envelopes against two independent readers: securesystemslib's DSSE, and openssl on the command line."""

from __future__ import annotations

import base64
import copy
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined] # its types do not name what it offers

from pipeline.errors import ReleaseError
from pipeline.signing.envelope import is_signed_by, open_envelope, pre_authentication_encoding, signed_envelope
from pipeline.signing.key_signer import KeySigner
from pipeline.signing.keys import read_private_key
from tests.support.released import write_key, write_public

PAYLOAD = '{"name": "焚き火"}'.encode()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A private key."""
    return write_key(tmp_path / "key.pem")


def test_the_encoding_of_the_specification() -> None:
    """The example that protocol.md gives."""
    encoded = pre_authentication_encoding(b"hello world", "http://example.com/HelloWorld")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_securesystemslib_verifies_it(curve: ec.EllipticCurve) -> None:
    """On each curve; and refuses the same signature over another payload."""
    private = ec.generate_private_key(curve)
    envelope = signed_envelope(PAYLOAD, "application/vnd.in-toto+json", private)
    keyid = envelope["signatures"][0]["keyid"]
    peer = SSlibKey.from_crypto(private.public_key(), keyid=keyid)
    assert list(Envelope.from_dict(copy.deepcopy(envelope)).verify([peer], 1)) == [keyid]
    other = {**copy.deepcopy(envelope), "payload": base64.b64encode(b"{}").decode()}
    with pytest.raises(VerificationError):
        Envelope.from_dict(other).verify([peer], 1)


def test_openssl_verifies_it(key: Path, tmp_path: Path) -> None:
    """As docs/verifying.md shows it."""
    envelope = KeySigner(key).envelope(PAYLOAD)
    (tmp_path / "signature").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    (tmp_path / "signed").write_bytes(pre_authentication_encoding(PAYLOAD, envelope["payloadType"]))
    public = write_public(key, tmp_path / "key.pub")
    command: list[str | Path] = [
        "openssl",
        "dgst",
        "-sha256",
        "-verify",
        public,
        "-signature",
        tmp_path / "signature",
        tmp_path / "signed",
    ]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "Verified OK\n"


def test_the_same_payload_gives_the_same_bytes(key: Path) -> None:
    """RFC 6979: no randomness in a signature."""
    assert KeySigner(key).envelope(PAYLOAD) == KeySigner(key).envelope(PAYLOAD)


def test_we_verify_what_securesystemslib_signs(key: Path) -> None:
    """The other way round."""
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined] # as above

    private = read_private_key(key)
    signer = CryptoSigner(private, SSlibKey.from_crypto(private.public_key()))
    envelope = Envelope(PAYLOAD, "application/vnd.in-toto+json", {})
    envelope.sign(signer)
    payload, signature = open_envelope(envelope.to_dict(), "here")
    assert payload == PAYLOAD
    assert is_signed_by(payload, signature, private.public_key())
    assert not is_signed_by(payload + b" ", signature, private.public_key())


def changed(envelope: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return an envelope with other members."""
    return {**envelope, **members}


def test_an_envelope_of_another_form_is_refused(key: Path) -> None:
    """More than one signature, none, another type, what is not base64: each in words."""
    envelope = KeySigner(key).envelope(PAYLOAD)
    one = envelope["signatures"][0]
    for wrong, words in (
        (changed(envelope, signatures=[one, one]), "has 2 signatures"),
        (changed(envelope, signatures=[]), "has 0 signatures"),
        (changed(envelope, signatures={"0": one}), "no list of"),
        (changed(envelope, signatures=["text"]), "no signature"),
        (changed(envelope, payloadType="text/plain"), "not an in-toto statement"),
        (changed(envelope, payload="ä"), "not base64"),
        (changed(envelope, payload=7), "has no payload"),
        ([envelope], "no JSON object"),
    ):
        with pytest.raises(ReleaseError, match=words):
            open_envelope(wrong, "here")
