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

from pipeline.digest import digest_file
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


def digests_of(folder: Path) -> dict[str, str]:
    """Return name → sha256 of every file."""
    return {path.name: digest_file(path) for path in folder.iterdir()}


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
@pytest.mark.parametrize("known", [False, True])
def test_no_byte_is_hashed_twice(folder: Path, tmp_path: Path, *, known: bool) -> None:
    """The package gets digests: each file of the folder is opened once, and not at all where its digest is known."""
    key = write_key(tmp_path / "key.pem")
    digests = repr(digests_of(folder) if known else None)
    program = f"""
from pathlib import Path
from pipeline.signing.key_signer import KeySigner
KeySigner(Path({str(key)!r})).seal(Path({str(folder)!r}), {digests})
"""
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-e", "trace=openat", "-o", str(trace), sys.executable, "-c", program]
    subprocess.run(command, check=True, env={**os.environ})
    assert trace.read_text().count("model-f16.gguf") == (0 if known else 1)


def test_what_is_known_is_what_is_signed(folder: Path, tmp_path: Path) -> None:
    """A file that was changed after it was hashed does not verify."""
    key = write_key(tmp_path / "key.pem")
    public = write_public(key, tmp_path / "key.pub")
    known = digests_of(folder)
    KeySigner(key).seal(folder, known)
    arguments = ("key", folder, "--signature", folder / "model.sig", "--public_key", public)
    assert stock(*arguments).returncode == 0
    flip(folder / "README.md")
    KeySigner(key).seal(folder, known)
    assert stock(*arguments).returncode != 0


@pytest.mark.parametrize("change", ["more", "less"])
def test_digests_of_other_files_are_refused(folder: Path, tmp_path: Path, change: str) -> None:
    """They are of this folder, or of none."""
    known = digests_of(folder)
    if change == "more":
        (folder / "more.txt").write_text("more")
    else:
        (folder / "README.md").unlink()
    with pytest.raises(ReleaseError, match="more.txt was added" if change == "more" else "README.md was removed"):
        KeySigner(write_key(tmp_path / "key.pem")).seal(folder, known)
    assert not (folder / "model.sig").exists()


@pytest.mark.parametrize("certified", [False, True])
def test_the_key_that_was_checked_is_the_one_that_seals(folder: Path, tmp_path: Path, *, certified: bool) -> None:
    """Between envelopes and seal its file may become another, or one that others read: it is not opened again."""
    authority = Authority(tmp_path)
    key, certificate = authority.signer("CN=releases")
    public = write_public(key, tmp_path / "key.pub")
    signer = CertificateSigner(key, certificate, (authority.intermediate,)) if certified else KeySigner(key)
    key.unlink()
    write_key(key).chmod(0o644)
    certificate.unlink()
    authority.intermediate.unlink()
    signer.seal(folder)
    trusted = ("--certificate_chain", authority.root) if certified else ("--public_key", public)
    kind = "certificate" if certified else "key"
    done = stock(kind, folder, "--signature", folder / "model.sig", *trusted)
    assert done.returncode == 0, done.stderr


def test_a_certificate_of_the_root_itself_needs_no_chain(folder: Path, tmp_path: Path) -> None:
    """What lies between is nothing."""
    authority = Authority(tmp_path)
    key, certificate = authority.signer("CN=releases", by_root=True)
    CertificateSigner(key, certificate, ()).seal(folder)
    done = stock("certificate", folder, "--signature", folder / "model.sig", "--certificate_chain", authority.root)
    assert done.returncode == 0, done.stderr


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
