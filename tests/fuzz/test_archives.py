"""Hostile archives in place of the vendored one: `llama_cpp_vendor/unpack.py`."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llama_cpp_vendor.pin import Pin
from llama_cpp_vendor.unpack import extract, tree_sha256, unpack
from pipeline.errors import VendorError
from tests.fuzz.bounds import read_within
from tests.fuzz.hostile import COUNTS, damaged
from tests.fuzz.profile import fuzzed
from tests.fuzz.property import result_or_error
from tests.support.vendor_archive import COMMIT, FILES, HEAD, TOP, pin_of

_NAMES: Final = st.sampled_from(
    [
        "../escape",
        "/escape",
        "/{top}/escape",
        "{top}/../../escape",
        "{top}/a/../../../escape",
        "{top}",
        "{top}/",
        "",
        ".",
        "{top}/a\nb",
        "{top}/a\x1b[2J",
        "{top}/\u202egpj",
        "{top}/" + "n" * 300,
        "{top}/" + "d/" * 3000 + "x",
        "{top}/�",
        "{top}/link/inside",
        "{top}/a",
        "{top}/a/b",
        "{top}//escape",
        "{top}/./a",
        "{top}/日本語",
        "other/a",
    ]
)
_KINDS: Final = st.sampled_from(
    [tarfile.REGTYPE] * 6
    + [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
    + [tarfile.GNUTYPE_SPARSE, b"Z"]
)


@st.composite
def members(draw: st.DrawFn) -> tuple[str, bytes, str, int]:
    """Return name, kind, target and mode of one member."""
    name = draw(_NAMES).format(top=TOP)
    target = draw(st.sampled_from(["/etc/passwd", "../../..", "a", f"{TOP}/a", "\0"]))
    return name, draw(_KINDS), target, draw(st.sampled_from([0o644, 0o7777, 0o000, 2**20]))


def packed(more: list[tuple[str, bytes, str, int]], format: int = tarfile.PAX_FORMAT) -> bytes:  # noqa: A002
    """Return an archive of the sound files and of more members."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=format, errors="surrogateescape") as archive:
        for name, text in FILES.items():
            _add(archive, (name, tarfile.REGTYPE, "", 0o644), text.encode())
        for member in more:
            _add(archive, member, b"escaped")
    return gzip.compress(stream.getvalue(), 1)


def _add(archive: tarfile.TarFile, member: tuple[str, bytes, str, int], content: bytes) -> None:
    entry = tarfile.TarInfo(member[0])
    _, entry.type, entry.linkname, entry.mode = member
    plain = entry.type == tarfile.REGTYPE
    entry.size = len(content) if plain else 0
    archive.addfile(entry, io.BytesIO(content) if plain else None)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one that the archive is unpacked into, three levels down."""
    return tmp_path_factory.mktemp("archives")


@pytest.fixture(scope="module")
def pin(place: Path) -> Pin:
    """The pin of the sound archive's commit; the digest of an archive is checked before it is opened."""
    archive = place / f"{TOP}.tar.gz"
    archive.write_bytes(packed([]))
    return pin_of(archive)


def outside(place: Path, folder: Path) -> Iterator[Path]:
    """Yield what lies in the place and not in the folder."""
    for parent, folders, names in os.walk(place):
        folders[:] = [name for name in folders if Path(parent) / name != folder]
        yield from (Path(parent) / name for name in names)


def try_it(content: bytes, place: Path, pin: Pin) -> bool:
    """Unpack an archive; return whether it was taken. What was written lies in its folder, as plain files."""
    archive, folder = place / "hostile.tar.gz", place / "a" / "b" / "tree"
    shutil.rmtree(place / "a", ignore_errors=True)
    archive.write_bytes(content)
    before = sorted(outside(place, folder))
    result_or_error(lambda: extract(archive, pin, folder))
    assert sorted(outside(place, folder)) == before
    taken = folder.is_dir()
    for path in folder.rglob("*"):
        assert not path.is_symlink()
        assert path.is_file() or path.is_dir()
        assert path.is_dir() or path.stat().st_mode & 0o7777 in {0o644, 0o755}
        assert path.resolve().is_relative_to(folder.resolve())
    tree_sha256(folder)
    return taken


def test_the_sound_archive_is_taken(place: Path, pin: Pin) -> None:
    """What follows is refused for its faults."""
    assert try_it(packed([]), place, pin)


@fuzzed()
@given(
    more=st.lists(members(), min_size=1, max_size=4),
    format=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
@example(more=[(f"{TOP}/{'n' * 300}", tarfile.REGTYPE, "", 0o644)], format=tarfile.PAX_FORMAT)
@example(more=[(f"{TOP}/\udcff", tarfile.REGTYPE, "", 0o644)], format=tarfile.GNU_FORMAT)
@example(
    more=[(f"{TOP}/link", tarfile.SYMTYPE, "/tmp", 0o777), (f"{TOP}/link/x", tarfile.REGTYPE, "", 0o644)],  # noqa: S108
    format=tarfile.PAX_FORMAT,
)
def test_hostile_members(more: list[tuple[str, bytes, str, int]], format: int, place: Path, pin: Pin) -> None:  # noqa: A002
    """Links, devices, pipes, absolute paths, `..`, controls in names: nothing but plain files, and nothing outside."""
    try_it(packed(more, format), place, pin)


_RAW: Final = gzip.decompress(packed([]))


@fuzzed()
@given(content=st.one_of(damaged(_RAW).map(lambda raw: gzip.compress(raw, 1)), damaged(packed([]))))
@example(content=gzip.compress(_RAW)[:-20])
@example(content=gzip.compress(_RAW)[:30] + b"\xff" * 50 + gzip.compress(_RAW)[80:])
@example(content=b"")
def test_damaged_bytes(content: bytes, place: Path, pin: Pin) -> None:
    """Damage inside and outside of the compression."""
    try_it(content, place, pin)


@fuzzed(0.3)
@given(size=COUNTS, kind=st.sampled_from([b"0", b"x", b"g", b"L", b"K", b"S"]))
def test_sizes_that_no_archive_has(size: int, kind: bytes, place: Path, pin: Pin) -> None:
    """A member, a long name or a header of 2^63 bytes."""
    header = bytearray(512)
    header[0:100] = f"{TOP}/x".encode().ljust(100, b"\0")
    header[100:108] = b"0000644\0"
    header[124:136] = b"\x80" + min(size, 2**87).to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[156:157] = kind
    header[257:265] = b"ustar\x0000"
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    try_it(gzip.compress(bytes(header) + b"\0" * 1024), place, pin)


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE], ids=["member", "header"])
def test_a_bomb_is_refused(kind: bytes, tmp_path: Path, pin: Pin) -> None:
    """Two gigabytes of zeros in two megabytes: under 600 MB of address space, and the disk gets nothing of them."""
    archive = tmp_path / f"{TOP}.tar.gz"
    entry = tarfile.TarInfo(f"{TOP}/bomb")
    entry.type, entry.size = kind, 2 << 30
    zeros = gzip.compress(b"\0" * (4 << 20))  # gzip joins what is packed in parts
    archive.write_bytes(gzip.compress(entry.tobuf(tarfile.GNU_FORMAT)) + zeros * (2 << 8))
    imports = "from llama_cpp_vendor.unpack import extract\nfrom tests.support.vendor_archive import pin_of"
    call = "extract(Path(sys.argv[1]), pin_of(Path(sys.argv[1])), Path(sys.argv[2]))"
    assert read_within(600, 60, imports, call, str(archive), str(tmp_path / "tree")).startswith("refused")
    assert not (tmp_path / "tree").exists()


def test_another_tree_than_the_pinned_one_is_refused(tmp_path: Path, pin: Pin) -> None:
    """An archive that is safe, of the right commit, and holds other files: nothing is left of it."""
    archive = tmp_path / "other.tar.gz"
    archive.write_bytes(packed([(f"{TOP}/more.py", tarfile.REGTYPE, "", 0o644)]))
    assert HEAD in FILES
    assert pin.commit == COMMIT
    with pytest.raises(VendorError, match="differs from the pin"):
        unpack(archive, pin, tmp_path / "cache")
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []
