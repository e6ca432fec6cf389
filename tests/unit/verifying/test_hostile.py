"""Folders that somebody laid out to harm whoever verifies them."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ReleaseError
from pipeline.signing.certificate_signer import CertificateSigner
from pipeline.verifying import verify
from pipeline.verifying.folder import names_in
from pipeline.verifying.gguf_metadata import read_metadata
from pipeline.verifying.policy import Identity, Policy
from pipeline.verifying.trust import Trust
from pipeline.verifying.verify import Handed
from tests.fuzz.bounds import read_within
from tests.fuzz.property import assert_printable
from tests.support.authority import Authority
from tests.support.like_sigstore import IDENTITY, LikeSigstore
from tests.support.released import MODELS, Release, rewrite
from tests.support.verified import Sound, findings, wrong

ANYBODY = Trust(any_signer=True)
DEPTH = 200_000


@pytest.mark.parametrize("target", ["/etc/passwd", "../secret", "README.md", "nothing"])
def test_links_are_refused(target: str, sound: Sound) -> None:
    """Wherever they lead, in the place of any file."""
    (sound.folder / "chain.json").unlink()
    (sound.folder / "chain.json").symlink_to(target)
    with pytest.raises(ReleaseError, match=r"chain\.json is a link"):
        Handed.of(sound.folder)


def test_folders_pipes_and_sockets_are_refused(sound: Sound) -> None:
    """A release is flat; nothing is waited for."""
    (sound.folder / "weights").mkdir()
    with pytest.raises(ReleaseError, match="weights is no file"):
        Handed.of(sound.folder)
    (sound.folder / "weights").rmdir()
    os.mkfifo(sound.folder / "weights")
    with pytest.raises(ReleaseError, match="weights is no file"):
        Handed.of(sound.folder)


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2J", "abc\u202egpj.exe", "ä", "-rf", " ", ".hidden", "x" * 250])
def test_names_that_a_release_does_not_have(name: str, sound: Sound) -> None:
    """They are refused before anything is read, and shown as what they are."""
    (sound.folder / name).write_text("x")
    with pytest.raises(ReleaseError, match="no name of a release's file") as caught:
        names_in(sound.folder)
    assert_printable(str(caught.value))


@pytest.mark.parametrize("name", ["manifest.json", "chain.json", "sbom.cdx.json", "model.sig"])
@pytest.mark.parametrize(
    "content",
    [
        b"[" * DEPTH,
        b'{"a":' * DEPTH,
        b'{"n": ' + b"9" * 5000 + b"}",
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": 1, "a": 2}',
        b'"\\ud800"',
        b"null",
        b"[]",
        b"{}",
        b'{"stages": {"train": []}, "specVersion": "1.6", "verificationMaterial": {}, "dsseEnvelope": []}',
    ],
    ids=[
        "nested list",
        "nested table",
        "digits",
        "bytes",
        "nan",
        "twice",
        "surrogate",
        "null",
        "list",
        "empty",
        "types",
    ],
)
def test_papers_of_any_form(name: str, content: bytes, sound: Sound) -> None:
    """Each is refused in words that a terminal shows."""
    (sound.folder / name).write_bytes(content)
    found = wrong(sound.folder, ANYBODY)
    assert "checksums" in found or name == "model.sig"
    assert len(found) > 1 or name == "model.sig"
    for words in found.values():
        assert_printable(words)


def test_a_paper_of_a_gigabyte_takes_no_memory_for_it(sound: Sound) -> None:
    """It is hashed, and not read as JSON: under 500 MB of address space."""
    with (sound.folder / "manifest.json").open("r+b") as stream:
        stream.truncate(1 << 30)
    imports = "from pipeline.verifying.folder import names_in, open_release"
    call = (
        "folder = Path(sys.argv[1]); "
        "open_release(folder, names_in(folder)[0], lambda *_: None, absent=frozenset()).manifest"
    )
    printed = read_within(500, 60, imports, call, str(sound.folder))
    assert printed == "refused: 'manifest.json is too large to be read'"


def test_a_bill_whose_validation_would_not_end(sound: Sound) -> None:
    """A schema engine compares each item with each: refused before."""
    items = [{"type": "file", "name": str(at)} for at in range(100_000)]
    (sound.folder / "sbom.cdx.json").write_text(json.dumps({"specVersion": "1.6", "components": items}))
    assert wrong(sound.folder, ANYBODY)["materials"] == "sbom.cdx.json has a list of 100,000 items"


def test_a_file_that_changes_while_it_is_read_is_told(sound: Sound) -> None:
    """What was hashed would not be what was there."""
    path = sound.folder / "README.md"
    path.write_bytes(b"x" * (3 << 20))

    def grow(_count: int, name: str) -> None:
        if name == "README.md" and path.stat().st_size < 8 << 20:
            with path.open("ab") as stream:
                stream.write(b"y" * (1 << 20))

    from pipeline.verifying.folder import open_release

    with pytest.raises(ReleaseError, match="changed while it was read"):
        open_release(sound.folder, names_in(sound.folder)[0], grow, absent=frozenset())


@pytest.mark.parametrize(
    "line",
    ["0" * 64 + "  ../../etc/passwd", "0" * 64 + " *README.md", "0" * 63 + "  README.md", "\\" + "0" * 64 + "  a\\n"],
)
def test_lines_of_the_list_that_are_none(line: str, sound: Sound) -> None:
    """Paths, other modes, short digests, escapes."""
    path = sound.folder / "SHA256SUMS"
    path.write_text(f"{path.read_text()}{line}\n")
    assert "is not a digest and a plain file name" in wrong(sound.folder, ANYBODY)["checksums"]


def test_a_name_that_the_list_names_twice(sound: Sound) -> None:
    """Either could be meant."""
    path = sound.folder / "SHA256SUMS"
    path.write_text(path.read_text() * 2)
    assert "cannot stand there" in wrong(sound.folder, ANYBODY)["checksums"]


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_a_list_that_becomes_something_else_is_not_read(
    kind: str, sound: Sound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the folder was looked at: a pipe is not waited for, a link not followed."""
    path = sound.folder / "SHA256SUMS"

    def changing(folder: Path) -> tuple[list[str], tuple[str, ...]]:
        found = names_in(folder)
        path.unlink()
        if kind == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to("/etc/passwd")
        return found

    monkeypatch.setattr(verify, "names_in", changing)
    with pytest.raises(ReleaseError, match=r"SHA256SUMS (is no file any more|cannot be read)"):
        Handed.of(sound.folder, MODELS[0])


def test_a_list_of_a_gigabyte_takes_no_memory_for_it(sound: Sound) -> None:
    """Its beginning is read, and refused."""
    with (sound.folder / "SHA256SUMS").open("r+b") as stream:
        stream.truncate(1 << 30)
    imports = "from pipeline.verifying.verify import Handed"
    printed = read_within(500, 60, imports, "Handed.of(Path(sys.argv[1]), 'model-f16.gguf')", str(sound.folder))
    assert printed == "refused: 'SHA256SUMS has more than 1,048,576 bytes'"


def test_a_fault_of_a_check_is_told(sound: Sound, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it raises, it has not passed, and the others are made."""

    def faulty(_: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(verify, "check_headers", faulty)
    assert wrong(sound.folder, ANYBODY) == {"headers": "it could not be checked (ZeroDivisionError)"}


def test_more_certificates_than_are_looked_at(sound: Sound, tmp_path: Path) -> None:
    """Eleven are refused, not cut: the last could be the one that has expired."""
    authority = Authority(tmp_path / "ca")
    key, certificate = authority.signer("CN=releases")
    Release(sound.folder).write(CertificateSigner(key, certificate, (authority.intermediate,)))

    def longer(bundle: dict[str, Any]) -> dict[str, Any]:
        listed = bundle["verificationMaterial"]["x509CertificateChain"]["certificates"]
        listed += [listed[-1]] * (11 - len(listed))
        return bundle

    assert not wrong(sound.folder, ANYBODY)
    rewrite(sound.folder / "model.sig", longer)
    assert "model.sig holds 11 certificates" in wrong(sound.folder, ANYBODY)["signer"]


def test_a_policy_whose_trust_cannot_be_read(sound: Sound, tmp_path: Path) -> None:
    """Said in words, as what its library does with it."""
    policy = Policy(sigstore=(Identity(identity=IDENTITY, issuer="https://x.example", trust=str(tmp_path / "no")),))
    Release(sound.folder).write(LikeSigstore(sound.key))
    found = wrong(sound.folder, Trust(policy))
    assert "model.sig was not made by" in found["signature"]
    assert "could not be checked" not in found["signature"]


def test_the_header_of_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """A model that became one since it was hashed."""
    os.mkfifo(tmp_path / "model-f16.gguf")
    with pytest.raises(ReleaseError, match="is no file any more"):
        read_metadata(tmp_path / "model-f16.gguf")
    with pytest.raises(ReleaseError, match="cannot be read"):
        read_metadata(tmp_path / "gone.gguf")


def test_a_header_full_of_names_takes_no_memory_for_them(tmp_path: Path) -> None:
    """16,000 names of 64,000 bytes; then as many keys of those that are kept."""
    path = tmp_path / "model-f16.gguf"
    imports = "from pipeline.verifying.gguf_metadata import read_metadata"
    for size, words in ((64_000, "a text of 64000 bytes"), (60, "one of too many")):
        with path.open("wb") as stream:
            stream.write(b"GGUF" + struct.pack("<IQQ", 3, 0, 16_000))
            for at in range(16_000):
                name = b"general.%09d" % at
                stream.write(struct.pack("<Q", size) + (name if size < 100 else name[8:]))
                stream.seek(size - len(name if size < 100 else name[8:]), 1)
                stream.write(struct.pack("<IB", 0, 7))
        printed = read_within(200, 60, imports, "read_metadata(Path(sys.argv[1]))", str(path))
        assert words in printed


def test_a_signature_that_ignores_files_is_not_followed(sound: Sound) -> None:
    """What a signature says about ignoring has no say: every file must be in it."""
    from base64 import b64decode

    bundle = json.loads((sound.folder / "model.sig").read_bytes())
    statement = json.loads(b64decode(bundle["dsseEnvelope"]["payload"]))
    assert statement["predicate"]["serialization"]["ignore_paths"] == ["model.sig"]
    (sound.folder / "extra.gguf").write_bytes(b"GGUF")
    assert "extra.gguf was not signed" in findings(sound.folder, ANYBODY)["signature"].what


def test_the_header_of_a_model_gets_no_memory_for_what_it_claims(tmp_path: Path) -> None:
    """Counts of 2^60 and texts of 2^62 bytes, under 200 MB and in seconds."""

    def text(value: bytes, length: int | None = None) -> bytes:
        return struct.pack("<Q", len(value) if length is None else length) + value

    head = b"GGUF" + struct.pack("<IQQ", 3, 0, 1)
    for content in (
        b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60),
        head + text(b"a", 2**62),
        head + text(b"a") + struct.pack("<IIQ", 9, 8, 2**60),
        head + text(b"a") + struct.pack("<IIQ", 9, 4, 2**60),
        head + text(b"a") + struct.pack("<IIQ", 9, 9, 1) * 1000,
        head + text(b"a") + struct.pack("<I", 8) + text(b"", 2**40),
        b"GGUF",
        b"",
    ):
        (tmp_path / "model-f16.gguf").write_bytes(content)
        imports = "from pipeline.verifying.gguf_metadata import read_metadata"
        printed = read_within(200, 10, imports, "read_metadata(Path(sys.argv[1]))", str(tmp_path / "model-f16.gguf"))
        assert printed.startswith("refused: 'model-f16.gguf is no GGUF file that can be read")
