"""Releases in the form that Sigstore gives them, as far as no server of Sigstore's is needed.

The certificate here is nobody's: its form is that of Sigstore's, its authority is not. So what a release says of its
signer is read, integrity is verified, and Sigstore's own library refuses to vouch.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from pipeline.digest import canonical_json
from pipeline.verifying.policy import read_policy
from pipeline.verifying.trust import Trust
from tests.support.like_sigstore import IDENTITY, LikeSigstore
from tests.support.released import Release, write_checksums
from tests.support.verified import Sound, findings, wrong


@pytest.fixture
def folder(sound: Sound) -> Path:
    """Such a release."""
    return Release(sound.folder).write(LikeSigstore(sound.key))


def test_an_identity_for_whom_nobody_vouches(folder: Path, sound: Sound) -> None:
    """It is named."""
    found = wrong(folder, Trust.of(None, [sound.public], any_signer=False))
    assert f"it was made by {IDENTITY} (Sigstore): nobody vouches for that" in found["signer"]


def test_integrity_of_such_a_release(folder: Path, sound: Sound) -> None:
    """Folder and envelopes are signed by the certificates beside them; a changed envelope is not."""
    anybody = Trust.of(None, [], any_signer=True)
    assert findings(folder, anybody)["signer"].outcome == "noted"
    assert not wrong(folder, anybody)
    path = folder / "provenance.intoto.jsonl"
    first, second = (json.loads(line) for line in path.read_bytes().splitlines())
    second["payload"] = base64.b64encode(base64.b64decode(second["payload"]).replace(b'"share"', b'"shame"')).decode()
    path.write_bytes(canonical_json(first) + b"\n" + canonical_json(second) + b"\n")
    write_checksums(folder)
    LikeSigstore(sound.key).seal(folder)
    assert "not signed by the certificate beside it" in wrong(folder, anybody)["envelopes"]


def test_sigstore_itself_does_not_vouch(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy that names the identity asks Sigstore's library, with the trust root that it ships: offline."""
    for name in ("https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    policy = tmp_path / "policy.toml"
    policy.write_text(f'[[sigstore]]\nidentity = "{IDENTITY}"\nissuer = "https://accounts.example.org"\n')
    found = wrong(folder, Trust.of(read_policy(policy), [], any_signer=False))
    assert set(found) == {"signature", "envelopes"}
    assert "model.sig was not made by somebody@example.org, for whom Sigstore" in found["signature"]
