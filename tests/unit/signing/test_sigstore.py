"""Sigstore identities, as far as a machine without a network can go: to the first request, told in words.

That a release signed so verifies is not tested here: it takes Sigstore's own servers.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.errors import ReleaseError
from pipeline.signing.envelope import open_envelope
from pipeline.signing.sigstore_signer import SigstoreSigner
from pipeline.verifying.signature import bundle_of

PROXY = "http://127.0.0.1:9"
"""Nothing listens there: whatever asks the network fails at once."""


@pytest.fixture(autouse=True)
def without_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No way out, and caches of the test's own."""
    for name in ("https_proxy", "http_proxy", "HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, PROXY)
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_an_envelope_asks_sigstore(tmp_path: Path) -> None:
    """The library's own client is asked for its trust root, and what stopped it is told."""
    with pytest.raises(ReleaseError, match="Sigstore did not sign: TUFError") as caught:
        SigstoreSigner().envelope(b"{}")
    assert "--sigstore-trust" in caught.value.advice


def test_a_folder_asks_sigstore(tmp_path: Path) -> None:
    """As `model-signing` does it; nothing is written."""
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / "file").write_text("x")
    with pytest.raises(ReleaseError, match="Sigstore did not sign"):
        SigstoreSigner().seal(tmp_path / "release")
    assert [path.name for path in (tmp_path / "release").iterdir()] == ["file"]


def test_a_trust_configuration_that_is_none_is_told(tmp_path: Path) -> None:
    """Before anything is asked."""
    path = tmp_path / "trust.json"
    path.write_text("{}")
    with pytest.raises(ReleaseError, match="Sigstore did not sign"):
        SigstoreSigner(path).envelope(b"{}")


def test_an_envelope_becomes_a_bundle_again() -> None:
    """Certificate and log entry stand beside the members of DSSE, which readers of DSSE pass over."""
    inner = {
        "payload": "e30=",
        "payloadType": "application/vnd.in-toto+json",
        "signatures": [{"sig": "AAAA", "keyid": ""}],
    }
    envelope = {**inner, "verificationMaterial": {"certificate": {"rawBytes": "AAAA"}}}
    assert open_envelope(json.loads(json.dumps(envelope)), "here") == (b"{}", b"\0\0\0")
    bundle = bundle_of(envelope)
    assert bundle["dsseEnvelope"] == inner
    assert bundle["verificationMaterial"] == envelope["verificationMaterial"]
