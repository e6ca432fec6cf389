"""The signing key: whole or not at all whenever its making is killed, and in nothing that others get to see."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.environments import REPOSITORY
from pipeline.errors import ReleaseError
from pipeline.signing.key_signer import KeySigner
from pipeline.signing.keys import read_private_key
from pipeline.signing.local_key import local_key, local_key_path
from tests.support.key_making import key_made
from tests.support.releasable import ReleasePlace
from tests.support.released import write_key
from tests.support.traced import CHANGING, Killed, killed_at_every_call


def check(killed: Killed) -> None:
    """Look at what one killed process left behind, then ask for the key again."""
    os.environ["XDG_CONFIG_HOME"] = str(killed.folder)
    path = local_key_path()
    before = path.read_bytes() if path.exists() else b""
    if before:
        read_private_key(path)
    assert before or killed.call != "none"
    for left in path.parent.iterdir() if path.parent.is_dir() else ():
        assert left.stat().st_mode & 0o077 == 0, f"{killed.call}: others may read {left.name}"
    read_private_key(local_key())
    assert not before or path.read_bytes() == before, f"{killed.call}: there was a key, and it is another now"


@pytest.mark.slow
def test_a_key_is_made_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL before each call that changes the disk: no key, or one that signs; the next call makes or takes it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    found = killed_at_every_call(key_made, tmp_path, only=CHANGING)
    calls = {killed.call.split()[0] for killed in found}
    assert {"write", "fsync"} <= calls
    assert calls & {"link", "linkat"}
    for killed in found:
        check(killed)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_a_key_that_belongs_to_somebody_else_signs_nothing(tmp_path: Path) -> None:
    """Also where this user could read it."""
    path = write_key(tmp_path / "key.pem")
    os.chown(path, 65534, 65534)
    assert path.read_bytes()
    with pytest.raises(ReleaseError, match="belongs to another user"):
        KeySigner(path)


def forms_of(path: Path) -> dict[str, bytes]:
    """Return the secret of a key in every form in which it could stand somewhere."""
    key = read_private_key(path)
    secret = key.private_numbers().private_value
    raw = secret.to_bytes(32, "big")
    lines = path.read_text().splitlines()[1:-1]
    return {
        **{f"line {at} of its PEM": line.encode() for at, line in enumerate(lines[:2])},
        "DER": base64.b64decode("".join(lines)),
        "scalar": raw,
        "scalar, little endian": raw[::-1],
        "scalar in hex": raw.hex().encode(),
        "scalar in decimal": str(secret).encode(),
        "scalar in base64": base64.b64encode(raw).rstrip(b"="),
    }


def holds(content: bytes, forms: dict[str, bytes]) -> list[str]:
    """Return the names of the forms that stand in some bytes, whatever the case of their letters."""
    small = content.lower()
    return [name for name, form in forms.items() if form.lower() in small]


def everything(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Give each file below a folder; of envelopes and signatures also what is encoded in them."""
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        content = path.read_bytes()
        yield path, content
        if path.name in {"provenance.intoto.jsonl", "model.sig"}:
            for line in content.splitlines():
                value = json.loads(line)
                envelope = value.get("dsseEnvelope", value)
                yield path, base64.b64decode(envelope["payload"])
                yield path, base64.b64decode(envelope["signatures"][0]["sig"])


def test_what_is_searched_for_would_be_found(tmp_path: Path) -> None:
    """The search is no empty one."""
    path = write_key(tmp_path / "key.pem")
    found = forms_of(path)
    assert {name for _, content in everything(tmp_path) for name in holds(content, found)} >= {"line 0 of its PEM"}
    for name, form in found.items():
        assert name in holds(b"before" + form + b"after", found)
    assert len(found["scalar"]) == 32


@pytest.mark.slow
def test_no_log_error_artifact_or_release_holds_anything_of_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The local key is planted; build, release, events and the JSON log of `verify` are searched."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    key = local_key()
    secret = forms_of(key)
    (tmp_path / "work").mkdir()
    place = ReleasePlace(tmp_path / "work", monkeypatch)
    place.run()
    place.signer = KeySigner(key)  # a real one, in place of the fixture's fake
    folder = place.release()
    assert {path.name for path in folder.iterdir()} >= {"signer.pub", "model.sig", "provenance.intoto.jsonl"}
    for path, content in everything(tmp_path / "work"):
        assert holds(content, secret) == [], path
    told = json.dumps([dict(event) for event in place.events], default=str)
    assert "fingerprint" in told
    assert holds(told.encode(), secret) == []
    key.chmod(0o644)
    with pytest.raises(ReleaseError) as caught:
        KeySigner(key)
    assert holds(f"{caught.value!r} {caught.value} {caught.value.__cause__!r}".encode(), secret) == []
    for mode in (0o600, 0o644):
        key.chmod(mode)
        command = [sys.executable, "-m", "pipeline", "verify", str(folder), "--log", "json"]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=False)
        assert b'"check": "signer"' in done.stdout
        assert holds(done.stdout + done.stderr, secret) == []
