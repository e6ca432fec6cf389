"""Folders to tar streams and back."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path, PurePosixPath

import pytest

from pipeline.digest import digest_file
from pipeline.errors import EngineError
from pipeline.executors.docker.archive import Entry, compare, pack, unpack


def packed(*entries: Entry) -> tuple[bytes, dict[str, str]]:
    """Return an archive and its digests."""
    digests: dict[str, str] = {}
    return b"".join(pack(entries, digests)), digests


def archive_of(member: tarfile.TarInfo) -> list[bytes]:
    """Return an archive of one member without content."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(member)
    return [stream.getvalue()]


def test_there_and_back(tmp_path: Path) -> None:
    """Bytes, folders and digests are the same on both sides, whatever the pieces."""
    source = tmp_path / "ファイル.bin"
    source.write_bytes(bytes(range(256)) * 5000)
    data, sent = packed(Entry(PurePosixPath("top/in")), Entry(PurePosixPath("top/in/ファイル.bin"), source))
    pieces = [data[at : at + 777] for at in range(0, len(data), 777)]
    assert unpack(pieces, tmp_path / "out") == {"in/ファイル.bin": digest_file(source)}
    assert sent == {"top/in/ファイル.bin": digest_file(source)}
    assert (tmp_path / "out" / "in" / "ファイル.bin").read_bytes() == source.read_bytes()


def test_any_tar_reads_it(tmp_path: Path) -> None:
    """Padding and end are as the format wants them; owners are named."""
    source = tmp_path / "a"
    source.write_text("abc")
    data, _ = packed(Entry(PurePosixPath("d"), None, (7, 8)), Entry(PurePosixPath("d/a"), source))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames() == ["d", "d/a"]
        assert (archive.getmember("d").uid, archive.getmember("d").gid) == (7, 8)


@pytest.mark.parametrize("name", ["out/../../etc/x", "out/../x"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    """An engine elsewhere is not trusted with this machine's files."""
    with pytest.raises(EngineError, match="no plain file"):
        unpack(archive_of(tarfile.TarInfo(name)), tmp_path)


def test_a_link_is_refused(tmp_path: Path) -> None:
    """It could lead anywhere."""
    link = tarfile.TarInfo("out/link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with pytest.raises(EngineError, match="no plain file"):
        unpack(archive_of(link), tmp_path)


def test_a_difference_between_the_sides_is_named() -> None:
    """Changed, missing and extra files all count."""
    with pytest.raises(EngineError, match="3 files are not the same here and on the engine: a, b, c"):
        compare({"a": "1", "b": "1", "d": "1"}, {"a": "2", "c": "1", "d": "1"}, "ssh://box")
