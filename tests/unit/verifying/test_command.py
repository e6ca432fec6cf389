"""`python -m pipeline verify RELEASE` as its user calls it: lines, events, exit codes."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.environments import REPOSITORY
from tests.support.file_server import FileServer
from tests.support.released import MODELS, RECIPE_DIGEST, flip, write_checksums, write_key
from tests.support.verified import Sound

CHECKS = (
    *("checksums", "papers", "signer", "signature", "envelopes", "subjects", "manifest", "chain", "provenance"),
    *("materials", "gates", "verdicts", "waivers", "headers"),
)


def verify(*arguments: str | Path, log: str = "terminal") -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, "-m", "pipeline", "verify", "--log", log, *map(str, arguments)]
    return subprocess.run(
        command, cwd=REPOSITORY, env={**os.environ, "COLUMNS": "120"}, capture_output=True, text=True, check=False
    )


def events(done: subprocess.CompletedProcess[str], name: str) -> list[dict[str, Any]]:
    """Return the events of a name that a run printed."""
    return [one for line in done.stdout.splitlines() if (one := json.loads(line))["event"] == name]


def test_a_line_for_each_check(sound: Sound) -> None:
    """On a terminal, and exit code 0."""
    done = verify(sound.folder, "--key", sound.public)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines[:-1]] == list(CHECKS)
    assert all(line.startswith("✓ ") for line in lines[:-1])
    assert lines[-1] == f"verified: {sound.folder}, 14 checks"


def test_events_for_a_script(sound: Sound) -> None:
    """One of each check, one at the end; and exit code 62 with what failed."""
    done = verify(sound.folder, "--key", sound.public, log="json")
    assert done.returncode == 0
    assert [one["check"] for one in events(done, "verify.check")] == list(CHECKS)
    assert events(done, "verify.result")[0]["outcome"] == "verified"
    flip(sound.folder / "README.md")
    done = verify(sound.folder, "--key", sound.public, log="json")
    assert done.returncode == 62
    assert events(done, "verify.result")[0]["failed"] == ["checksums", "signature"]
    assert "does not verify: checksums, signature" in done.stderr


def test_nobody_vouches_without_a_word(sound: Sound) -> None:
    """The error names the key, and how to say whom one trusts."""
    done = verify(sound.folder)
    assert done.returncode == 62
    assert "✗ signer" in done.stdout
    assert "nobody vouches for it" in done.stdout
    assert "? signature   nobody vouches for its signer" in done.stdout


def test_any_signer_is_said_loudly(sound: Sound) -> None:
    """Exit code 0, and no word `verified`."""
    done = verify(sound.folder, "--any-signer")
    assert done.returncode == 0
    assert "NOBODY VOUCHES" in done.stdout
    assert "INTEGRITY ONLY" in done.stdout.splitlines()[-1]
    assert not any(line.startswith("verified") for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("no/such/folder",), "there is no 'no/such/folder'"),
        (("--any-signer",), "none was named"),
        ((".", "--any-signer", "--key", "k.pem"), "believes everybody"),
        ((".", "--policy", "no.toml"), "the policy is of no use"),
        ((".", "--polcy", "no.toml"), "did you mean --policy?"),
    ],
)
def test_usage(arguments: tuple[str, ...], words: str) -> None:
    """Exit code 2."""
    done = verify(*arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_a_model_beside_its_papers(sound: Sound) -> None:
    """It says which release it is of, and the release around it is verified; other models may be elsewhere."""
    (sound.folder / MODELS[1]).unlink()
    done = verify(sound.folder / MODELS[0], "--key", sound.public)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{MODELS[0]} says: ready 1.2.0, licence apache-2.0, recipe {RECIPE_DIGEST}")
    assert f"! absent      other models of the release are not here: {MODELS[1]}" in done.stdout
    flip(sound.folder / MODELS[0])
    assert verify(sound.folder / MODELS[0], "--key", sound.public).returncode == 62


def test_a_folder_without_one_of_its_models_is_not_whole(sound: Sound) -> None:
    """Who names the folder means all of it."""
    (sound.folder / MODELS[1]).unlink()
    assert verify(sound.folder, "--key", sound.public).returncode == 62


def test_a_model_with_its_release_beside_it(sound: Sound) -> None:
    """A copy under any name is held against the models of `release/`."""
    copy = sound.folder.parent / "downloaded.gguf"
    shutil.copy(sound.folder / MODELS[0], copy)
    assert verify(copy, "--key", sound.public).returncode == 0
    done = verify(copy, "--key", sound.public)
    assert f"✓ file        downloaded.gguf is {MODELS[0]} of the release in release/" in done.stdout
    assert done.stdout.splitlines()[-1] == f"verified: {copy}, 15 checks"
    flip(copy, -1)
    done = verify(copy, "--key", sound.public)
    assert done.returncode == 62
    assert "✗ file        downloaded.gguf is none of the models of the release in release/" in done.stdout
    assert "does not verify: file" in done.stderr
    assert "verified:" not in done.stdout


def test_another_file_is_never_said_to_be_verified(sound: Sound) -> None:
    """Nor in the events of a script: its check comes before the result."""
    copy = sound.folder.parent / "downloaded.gguf"
    shutil.copy(sound.folder / MODELS[0], copy)
    flip(copy, -1)
    done = verify(copy, "--key", sound.public, log="json")
    assert [one["outcome"] for one in events(done, "verify.result")] == ["not verified"]
    assert events(done, "verify.result")[0]["failed"] == ["file"]
    assert not events(done, "verify.finished")


def test_a_link_to_a_model(sound: Sound) -> None:
    """The user named it, so it is followed."""
    link = sound.folder.parent / "linked.gguf"
    link.symlink_to(sound.folder / MODELS[0])
    assert verify(link, "--key", sound.public).returncode == 0


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace, to see what is read")
def test_the_models_of_the_release_are_hashed_once(sound: Sound, tmp_path: Path) -> None:
    """Each is opened for its digest, and for its header."""
    copy = sound.folder.parent / "downloaded.gguf"
    shutil.copy(sound.folder / MODELS[0], copy)
    command = [sys.executable, "-m", "pipeline", "verify", str(copy), "--key", str(sound.public)]
    trace = ["strace", "-f", "-e", "trace=openat", "-o", str(tmp_path / "trace")]
    subprocess.run([*trace, *command], cwd=REPOSITORY, check=True, capture_output=True)
    assert (tmp_path / "trace").read_text().count(f'{MODELS[1]}"') == 2


def test_notes_are_no_checks(sound: Sound) -> None:
    """What is said at the end counts what passed."""
    (sound.folder / ".gitattributes").write_text("*.gguf filter=lfs\n")
    done = verify(sound.folder, "--key", sound.public)
    assert done.stdout.splitlines()[-1] == f"verified: {sound.folder}, 14 checks"


def test_ones_own_key_that_others_may_read_is_told(sound: Sound, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would have vouched."""
    own = Path(os.environ["XDG_CONFIG_HOME"]) / "fine-tune-pipeline" / "signing-key.pem"
    own.parent.mkdir(parents=True)
    shutil.copy(sound.key, own)
    own.chmod(0o600)
    assert verify(sound.folder).returncode == 0
    own.chmod(0o644)
    done = verify(sound.folder)
    assert done.returncode == 62
    assert "nobody vouches for it. Your own key is not used: others may read or change the private key" in done.stdout


def test_a_number_that_json_has_not(sound: Sound, tmp_path: Path) -> None:
    """A header may hold one; the log stays JSON."""
    path = tmp_path / "alone.gguf"
    key = b"general.odd"
    nan = struct.pack("<Q", len(key)) + key + struct.pack("<If", 6, float("nan"))
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + nan)
    done = verify(path, log="json")

    def refuse(text: str) -> None:
        raise AssertionError(text)

    told = [json.loads(line, parse_constant=refuse) for line in done.stdout.splitlines()]
    assert told[0]["keys"] == {"general.odd": "nan"}


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """It is no release."""
    os.mkfifo(tmp_path / "model.gguf")
    assert verify(tmp_path / "model.gguf").returncode == 2


def test_a_model_alone(sound: Sound, tmp_path: Path) -> None:
    """It says what it says, and nothing vouches for that."""
    (tmp_path / "alone").mkdir()
    shutil.copy(sound.folder / MODELS[0], tmp_path / "alone")
    done = verify(tmp_path / "alone" / MODELS[0], "--any-signer")
    assert done.returncode == 62
    assert "ready 1.2.0" in done.stdout
    assert "nothing vouches for" in done.stderr


def test_a_release_from_an_address(sound: Sound) -> None:
    """Fetched, verified, and gone."""
    with FileServer(sound.folder) as server:
        done = verify(server.address, "--key", sound.public)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == f"verified: {server.address}, 14 checks"
        done = verify(f"{server.address}/{MODELS[0]}", "--key", sound.public)
        assert done.returncode == 0, done.stderr
        flip(sound.folder / "README.md")
        write_checksums(sound.folder)
        assert verify(server.address, "--key", sound.public).returncode == 62


def test_one_of_several_keys(sound: Sound, tmp_path: Path) -> None:
    """`--key` may be given again."""
    from tests.support.released import write_public

    other = write_public(write_key(tmp_path / "other.pem"), tmp_path / "other.pub")
    assert verify(sound.folder, "--key", other).returncode == 62
    assert verify(sound.folder, "--key", other, "--key", sound.public).returncode == 0


def test_nothing_but_the_result_is_left(sound: Sound) -> None:
    """A verification writes nothing into the release."""
    before = {path.name: path.stat().st_mtime_ns for path in sound.folder.iterdir()}
    verify(sound.folder, "--key", sound.public)
    assert {path.name: path.stat().st_mtime_ns for path in sound.folder.iterdir()} == before
