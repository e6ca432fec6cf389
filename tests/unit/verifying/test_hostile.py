"""Folders that somebody laid out to harm whoever verifies them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pipeline.errors import ReleaseError
from pipeline.verifying.folder import names_in
from pipeline.verifying.trust import Trust
from pipeline.verifying.verify import Handed
from tests.fuzz.bounds import read_within
from tests.fuzz.property import assert_printable
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
    import struct

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
