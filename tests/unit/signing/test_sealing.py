"""`model.sig`, verified by the command line of `model-signing` itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from base64 import b64decode
from pathlib import Path

import pytest

from pipeline.errors import ReleaseError
from pipeline.signing.certificate_signer import CertificateSigner
from pipeline.signing.key_signer import KeySigner
from tests.support.authority import Authority
from tests.support.released import flip, write_key, write_public

STOCK = Path(sys.executable).parent / "model_signing"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two files, under a name that nobody should learn."""
    found = tmp_path / "private-name"
    found.mkdir()
    (found / "model-f16.gguf").write_bytes(b"model" * 1000)
    (found / "README.md").write_text("a model\n")
    return found


def stock(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the package's own command."""
    return subprocess.run([STOCK, "verify", *arguments], capture_output=True, text=True, check=False)


def test_the_stock_command_verifies_a_key(folder: Path, tmp_path: Path) -> None:
    """As a stranger runs it; and no longer after one flipped bit, a file more, a file less."""
    key = write_key(tmp_path / "key.pem")
    public = write_public(key, tmp_path / "key.pub")
    KeySigner(key).seal(folder)

    def verified() -> bool:
        done = stock("key", folder, "--signature", folder / "model.sig", "--public_key", public)
        return done.returncode == 0

    assert verified()
    flip(folder / "README.md")
    assert not verified()
    flip(folder / "README.md")
    (folder / "more.txt").write_text("more")
    assert not verified()
    (folder / "more.txt").unlink()
    (folder / "README.md").unlink()
    assert not verified()


def test_the_stock_command_verifies_a_certificate(folder: Path, tmp_path: Path) -> None:
    """By its root alone: the signature carries what lies between."""
    authority = Authority(tmp_path)
    key, certificate = authority.signer("CN=releases")
    CertificateSigner(key, certificate, (authority.intermediate,)).seal(folder)
    signature = folder / "model.sig"
    done = stock("certificate", folder, "--signature", signature, "--certificate_chain", authority.root)
    assert done.returncode == 0, done.stderr
    other = Authority(tmp_path / "other")
    assert stock("certificate", folder, "--signature", signature, "--certificate_chain", other.root).returncode != 0


def test_the_signature_names_no_folder(folder: Path, tmp_path: Path) -> None:
    """Staging folders have names of the machine; a signature calls what it is over `release`."""
    KeySigner(write_key(tmp_path / "key.pem")).seal(folder)
    bundle = json.loads((folder / "model.sig").read_bytes())
    statement = b64decode(bundle["dsseEnvelope"]["payload"])
    assert b"private-name" not in statement
    assert json.loads(statement)["subject"][0]["name"] == "release"


def test_sealing_twice_replaces_the_signature(folder: Path, tmp_path: Path) -> None:
    """The old one is no part of what is signed, and nothing half made is left."""
    signer = KeySigner(write_key(tmp_path / "key.pem"))
    signer.seal(folder)
    signer.seal(folder)
    public = write_public(tmp_path / "key.pem", tmp_path / "key.pub")
    assert stock("key", folder, "--signature", folder / "model.sig", "--public_key", public).returncode == 0
    assert not list(tmp_path.glob(".model.sig*"))


def test_a_link_is_not_signed(folder: Path, tmp_path: Path) -> None:
    """What it leads to may change."""
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(ReleaseError, match="not a regular file"):
        KeySigner(write_key(tmp_path / "key.pem")).seal(folder)


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace, to see what is read")
def test_no_byte_is_hashed_by_the_package(folder: Path, tmp_path: Path) -> None:
    """The package gets digests: each file of the folder is opened once."""
    key = write_key(tmp_path / "key.pem")
    program = f"""
from pathlib import Path
from pipeline.signing.key_signer import KeySigner
KeySigner(Path({str(key)!r})).seal(Path({str(folder)!r}))
"""
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-e", "trace=openat", "-o", str(trace), sys.executable, "-c", program]
    subprocess.run(command, check=True, env={**os.environ})
    assert trace.read_text().count("model-f16.gguf") == 1


def test_a_certificate_of_another_key_is_refused(tmp_path: Path) -> None:
    """Before anything is signed."""
    authority = Authority(tmp_path)
    _, certificate = authority.signer("CN=releases")
    with pytest.raises(ReleaseError, match="another key"):
        CertificateSigner(write_key(tmp_path / "other.pem"), certificate, ())


def test_a_certificate_that_may_not_sign_is_refused(tmp_path: Path) -> None:
    """Its usage says what it was issued for."""
    key, certificate = Authority(tmp_path).signer("CN=server", may_sign=False)
    with pytest.raises(ReleaseError, match="usage"):
        CertificateSigner(key, certificate, ())


def test_whoever_signs_by_certificate_is_named(tmp_path: Path) -> None:
    """Subject and issuer, for the log; no file is put into the folder."""
    authority = Authority(tmp_path)
    key, certificate = authority.signer("CN=releases")
    signer = CertificateSigner(key, certificate, (authority.intermediate,))
    assert signer.describe() | {"fingerprint": ""} == {
        "kind": "certificate",
        "fingerprint": "",
        "subject": "CN=releases",
        "issuer": "CN=intermediate",
    }
    assert signer.public_files() == {}
