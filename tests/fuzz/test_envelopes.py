"""Hostile envelopes and signatures: `provenance.intoto.jsonl` and `model.sig`. None but the signer's verifies."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.releasing.layout import PROVENANCE, SIGNATURE
from pipeline.signing.certificate_signer import CertificateSigner
from pipeline.signing.envelope import open_envelope
from pipeline.signing.keys import read_private_key
from pipeline.verifying.bundle import read_bundle
from pipeline.verifying.folder import Opened, names_in, open_release
from pipeline.verifying.signature import check_envelopes, check_signature
from pipeline.verifying.trust import Signer, Trust
from tests.fuzz.hostile import DEPTH, VALUES, damaged_json
from tests.fuzz.profile import fuzzed
from tests.fuzz.property import result_or_error
from tests.support.authority import Authority
from tests.support.released import Release, write_key, write_release


def opened(folder: Path) -> Opened:
    """Read a release."""
    return open_release(folder, names_in(folder)[0], lambda *_: None, absent=frozenset())


@pytest.fixture(scope="module")
def by_key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Opened, Trust]:
    """A release that a key signed, and who trusts it."""
    folder = tmp_path_factory.mktemp("envelopes")
    key = write_key(folder / "key.pem")
    trust = Trust(keys=(read_private_key(key).public_key(),))
    return opened(write_release(folder / "release", key)), trust


@pytest.fixture(scope="module")
def by_certificate(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """A release that a certificate signed."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder / "authority")
    key, certificate = authority.signer("CN=releases")
    signer = CertificateSigner(key, certificate, (authority.intermediate,))
    return opened(Release(folder / "release").write(signer))


def verify(release: Opened, trust: Trust, content: bytes) -> Any:
    """Verify a signature over a release; return what is said of it."""

    def verified() -> str:
        bundle = read_bundle(content)
        return check_signature(release, bundle, trust.signers(bundle, release)[0])

    return result_or_error(verified)


_Bytes = tuple[bytes, bytes]
_UNKNOWN_KEY: Final = (bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d027f"))
"""The object identifier of keys on elliptic curves (RFC 5480), and one that nobody has given away."""
_DOUBLED_EXTENSION: Final = (bytes.fromhex("0603551d0f"), bytes.fromhex("0603551d13"))
"""keyUsage becomes a second basicConstraints (RFC 5280)."""
_UNKNOWN_NAME: Final = (bytes.fromhex("0603550403"), bytes.fromhex("060355047f"))
"""commonName becomes an attribute that nobody knows."""


def other_certificate(signature: bytes, old: bytes, new: bytes) -> bytes:
    """Return a signature whose first certificate has other bytes."""
    bundle = json.loads(signature)
    first = bundle["verificationMaterial"]["x509CertificateChain"]["certificates"][0]
    der = base64.b64decode(first["rawBytes"])
    assert old in der
    first["rawBytes"] = base64.b64encode(der.replace(old, new)).decode()
    return json.dumps(bundle).encode()


def payload_of(content: bytes) -> bytes:
    """Return what a signature is over."""
    return base64.b64decode(json.loads(content)["dsseEnvelope"]["payload"])


@fuzzed()
@given(data=st.data())
@example(data=None)
def test_signatures_of_keys(data: st.DataObject | None, by_key: tuple[Opened, Trust]) -> None:
    """A damaged one is refused; where it is not, the signed bytes are those that were signed."""
    release, trust = by_key
    valid = release.contents[SIGNATURE]
    content = b"[" * DEPTH if data is None else data.draw(damaged_json(json.loads(valid)))
    if verify(release, trust, content):
        assert payload_of(content) == payload_of(valid)


@fuzzed()
@given(data=st.data())
@example(data=None)
@example(data=_UNKNOWN_KEY)
@example(data=_DOUBLED_EXTENSION)
@example(data=_UNKNOWN_NAME)
def test_signatures_of_certificates(data: st.DataObject | _Bytes | None, by_certificate: Opened) -> None:
    """The same where the signature brings certificates, and anybody is believed."""
    valid = by_certificate.contents[SIGNATURE]
    content = b"{" if data is None else other_certificate(valid, *data) if isinstance(data, tuple) else b""
    if isinstance(data, st.DataObject):
        content = data.draw(damaged_json(json.loads(valid)))
    if verify(by_certificate, Trust(any_signer=True), content):
        assert payload_of(content) == payload_of(valid)


@fuzzed()
@given(data=st.data(), at=st.sampled_from([0, 1]))
@example(data=None, at=0)
def test_envelopes_of_a_release(data: st.DataObject | None, at: int, by_key: tuple[Opened, Trust]) -> None:
    """Either is damaged: refused, or as it was signed."""
    release, trust = by_key
    lines = release.contents[PROVENANCE].splitlines()
    valid = json.loads(lines[at])
    lines[at] = b"[" * DEPTH if data is None else data.draw(damaged_json(valid)).replace(b"\n", b" ")
    changed = replace(release, contents={**release.contents, PROVENANCE: b"\n".join(lines) + b"\n"})
    signer = Signer("a key", trust.keys[0])
    bundle = read_bundle(release.contents[SIGNATURE])
    if result_or_error(lambda: check_envelopes(changed, bundle, signer)):
        assert open_envelope(changed.envelopes[at], "here")[0] == open_envelope(valid, "here")[0]


@fuzzed()
@given(value=VALUES)
def test_what_is_no_envelope(value: Any) -> None:
    """A value of any type."""
    result_or_error(lambda: open_envelope(value, "here"))
    result_or_error(lambda: open_envelope({"payloadType": value, "payload": value, "signatures": value}, "here"))
