"""Keys in files: made once, closed to others, never shown."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.errors import ReleaseError, UsageError
from pipeline.signing.keys import fingerprint, read_private_key, read_public_key
from pipeline.signing.local_key import local_key, local_key_path
from pipeline.signing.signer import add_options, signer_of
from tests.support.released import write_key, write_public


@pytest.fixture(autouse=True)
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration folder of the test's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


def options(*arguments: str) -> argparse.Namespace:
    """Return what a command line says about who signs."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args(arguments)


def test_the_local_key_is_made_once(configuration: Path) -> None:
    """It is closed to others, and the next call takes the same."""
    first = local_key()
    content = first.read_bytes()
    assert first == configuration / "fine-tune-pipeline" / "signing-key.pem"
    assert first.stat().st_mode & 0o777 == 0o600
    assert first.parent.stat().st_mode & 0o777 == 0o700
    assert local_key().read_bytes() == content
    assert [path.name for path in first.parent.iterdir()] == [first.name]


def test_many_at_once_make_one_key() -> None:
    """Processes that find no key at the same time end with the same one, and leave nothing else."""
    program = "from pipeline.signing.local_key import local_key; print(local_key().read_text())"

    def make(_: int) -> str:
        return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(make, range(8)))
    assert len(found) == 1
    assert len(list(local_key_path().parent.iterdir())) == 1


def test_a_relative_configuration_folder_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The specification says so; the key never lands in the working folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert local_key_path() == tmp_path / ".config" / "fine-tune-pipeline" / "signing-key.pem"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_key_that_others_may_read_or_change_is_refused(mode: int, tmp_path: Path) -> None:
    """In words that show nothing of it."""
    path = write_key(tmp_path / "key.pem")
    path.chmod(mode)
    with pytest.raises(ReleaseError, match="others may read") as caught:
        read_private_key(path)
    assert "chmod 600" in caught.value.advice
    assert not set(path.read_text().splitlines()) & set(str(caught.value).split())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no private key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no private key"),
        (b"x" * 100_000, "no key file"),
    ],
)
def test_what_is_no_key_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    """Whatever the file holds."""
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ReleaseError, match=words):
        read_private_key(path)


def test_keys_of_another_kind_are_refused(tmp_path: Path) -> None:
    """An RSA key, and one on a curve that `model-signing` does not sign with."""
    for arguments in (("genrsa", "2048"), ("ecparam", "-name", "secp256k1", "-genkey", "-noout")):
        path = tmp_path / "key.pem"
        path.write_bytes(subprocess.run(["openssl", *arguments], capture_output=True, check=True).stdout)
        path.chmod(0o600)
        with pytest.raises(ReleaseError, match="another kind"):
            read_private_key(path)


def test_an_encrypted_key_is_told(tmp_path: Path) -> None:
    """It cannot be asked for: a release runs without a person."""
    path = write_key(tmp_path / "key.pem")
    locked = [
        "openssl",
        "pkey",
        "-in",
        str(path),
        "-aes256",
        "-passout",
        "pass:x",
        "-out",
        str(tmp_path / "locked.pem"),
    ]
    subprocess.run(locked, check=True, capture_output=True)
    (tmp_path / "locked.pem").chmod(0o600)
    with pytest.raises(ReleaseError, match="encrypted"):
        read_private_key(tmp_path / "locked.pem")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """A key file that is a named pipe is refused at once."""
    os.mkfifo(tmp_path / "key.pem", 0o600)
    with pytest.raises(ReleaseError, match="no key file"):
        read_private_key(tmp_path / "key.pem")


def test_the_fingerprint_is_what_openssl_gives(tmp_path: Path) -> None:
    """A stranger can make it with the tools of his system, as docs/verifying.md says."""
    public = write_public(write_key(tmp_path / "key.pem"), tmp_path / "key.pub")
    command = f"openssl pkey -pubin -in {public} -outform DER | sha256sum"
    printed = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout
    assert fingerprint(read_public_key(public)) == f"sha256:{printed.split()[0]}"


def test_without_options_the_local_key_signs() -> None:
    """And says by its fingerprint who that is."""
    told = signer_of(options()).describe()
    assert told == {"kind": "key", "fingerprint": fingerprint(read_private_key(local_key()).public_key())}


@pytest.mark.parametrize(
    "arguments",
    [
        ("--certificate", "c.pem"),
        ("--key", "k.pem", "--chain", "c.pem"),
        ("--sigstore", "--key", "k.pem"),
        ("--sigstore-trust", "t.json"),
    ],
)
def test_options_that_do_not_go_together(arguments: tuple[str, ...]) -> None:
    """Each is a usage error that says what is missing."""
    with pytest.raises(UsageError) as caught:
        signer_of(options(*arguments))
    assert caught.value.advice


def test_neither_log_nor_error_shows_the_key(tmp_path: Path) -> None:
    """What a signer tells of itself, and its own form, hold nothing of the private key."""
    path = write_key(tmp_path / "key.pem")
    signer = signer_of(options("--key", str(path)))
    secret = path.read_text().splitlines()[1]
    shown = f"{signer!r} {signer.describe()} {signer.public_files()} {signer.envelope(b'{}')}"
    assert secret not in shown
