"""Debian packages: what is fetched is what the lock names, or it is not used."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import ImageError
from pipeline.images.debian import Deb, DebianLock, fetch_debs, read_debs, write_debs
from pipeline.images.relock import parse
from pipeline.images.settings import Debian, read_settings

CONTENT = b"a package"
DEB = Deb("tool", "1:2.0+b1", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), "debian/pool/t/tool_2.0+b1_amd64.deb")
LOCK = DebianLock("20260102T030405Z", (DEB,))


def ignore(event: str, **data: object) -> None:
    """Take an event."""


@pytest.fixture
def source(tmp_path: Path) -> Callable[..., Debian]:
    """Return settings whose mirrors and snapshots are folders of the test."""

    def make(mirrors: list[str], snapshots: list[str] | None = None) -> Debian:
        return Debian(
            release="bookworm",
            suites=[],
            mirrors=[(tmp_path / name).as_uri() for name in mirrors],
            snapshots=[(tmp_path / name).as_uri() for name in snapshots or []],
            sets={},
        )

    return make


def put(folder: Path, path: str, content: bytes) -> None:
    """Let a mirror have a file."""
    (folder / path).parent.mkdir(parents=True)
    (folder / path).write_bytes(content)


def test_a_lock_comes_back(tmp_path: Path) -> None:
    """What was written is read, with the moment at which the mirror had it."""
    write_debs(tmp_path / "debian-x.lock", LOCK)
    assert read_debs(tmp_path / "debian-x.lock") == LOCK


@pytest.mark.parametrize("line", ["tool 1.0", "tool 1.0 abc many path"])
def test_a_damaged_lock_names_the_line(tmp_path: Path, line: str) -> None:
    """And how to write it anew."""
    (tmp_path / "x.lock").write_text(f"# mirrored at 20260102T030405Z\n{line}\n")
    with pytest.raises(ImageError) as caught:
        read_debs(tmp_path / "x.lock")
    assert caught.value.where.endswith("x.lock:2")
    assert "--relock-debian" in caught.value.advice


def test_a_file_is_fetched_once(tmp_path: Path, source: Callable[..., Debian]) -> None:
    """The second time no mirror is asked."""
    put(tmp_path / "mirror", DEB.path, CONTENT)
    (path,) = fetch_debs(LOCK, tmp_path / "cache", source(["mirror"]), ignore)
    assert path.read_bytes() == CONTENT
    assert fetch_debs(LOCK, tmp_path / "cache", source([]), ignore) == [path]


def test_the_next_mirror_is_asked(tmp_path: Path, source: Callable[..., Debian]) -> None:
    """One that lacks the file is no error while another has it."""
    put(tmp_path / "other", DEB.path, CONTENT)
    assert fetch_debs(LOCK, tmp_path / "cache", source(["empty", "other"]), ignore)


def test_a_replaced_version_comes_from_the_snapshot(tmp_path: Path, source: Callable[..., Debian]) -> None:
    """The archive's state at the lock's moment still has it."""
    put(tmp_path / "snapshot", "debian/20260102T030405Z/pool/t/tool_2.0+b1_amd64.deb", CONTENT)
    assert fetch_debs(LOCK, tmp_path / "cache", source(["mirror"], ["snapshot"]), ignore)


def test_a_version_that_is_gone_says_how_to_renew(tmp_path: Path, source: Callable[..., Debian]) -> None:
    """Package, version, every address that was asked, and the command."""
    with pytest.raises(ImageError, match=r"no mirror has tool 1:2\.0\+b1") as caught:
        fetch_debs(LOCK, tmp_path / "cache", source(["mirror"], ["snapshot"]), ignore)
    assert len(caught.value.what.splitlines()) == 3
    assert "--relock-debian" in caught.value.advice


def test_another_file_is_refused(tmp_path: Path, source: Callable[..., Debian]) -> None:
    """It is not kept, and the mirror is named."""
    put(tmp_path / "mirror", DEB.path, b"something")
    with pytest.raises(ImageError, match="is not the file that the lock names"):
        fetch_debs(LOCK, tmp_path / "cache", source(["mirror"]), ignore)
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_altered_file_is_fetched_again(tmp_path: Path, source: Callable[..., Debian]) -> None:
    """A bit that flipped in the cache is seen at the next use."""
    put(tmp_path / "mirror", DEB.path, CONTENT)
    put(tmp_path / "cache", DEB.file, b"A package")
    (path,) = fetch_debs(LOCK, tmp_path / "cache", source(["mirror"]), ignore)
    assert path.read_bytes() == CONTENT


ANSWER = """\
== base
'http://mirror.example/debian/pool/l/libc_1%2bb1_amd64.deb' libc_1+b1_amd64.deb 3 MD5Sum:0
== runtime
'http://security.example/debian-security/pool/updates/p/python_3_amd64.deb' python_3_amd64.deb 4
== compiler
'http://security.example/debian-security/pool/updates/p/python_3_amd64.deb' python_3_amd64.deb 4
'http://mirror.example/debian/pool/g/gcc_12_amd64.deb' gcc_12_amd64.deb 5
== triton
== show
Package: libc
Version: 1+b1
Filename: pool/l/libc_1+b1_amd64.deb
Size: 3
SHA256: aa
Description: text
 with: colons

Package: python
Version: 3
Filename: pool/updates/p/python_3_amd64.deb
Size: 4
SHA256: bb

Package: gcc
Version: 12
Filename: pool/g/gcc_12_amd64.deb
Size: 5
SHA256: cc
"""


def test_a_set_holds_nothing_of_what_it_stands_on() -> None:
    """The compiler's set is what it adds to the interpreter's; the path tells the archives apart."""
    debs = parse(ANSWER, read_settings())
    assert debs["base"] == (Deb("libc", "1+b1", "aa", 3, "debian/pool/l/libc_1+b1_amd64.deb"),)
    assert [deb.path for deb in debs["runtime"]] == ["debian-security/pool/updates/p/python_3_amd64.deb"]
    assert [deb.name for deb in debs["compiler"]] == ["gcc"]


def test_a_file_without_a_digest_is_refused() -> None:
    """A lock without a hash would be no lock."""
    with pytest.raises(ImageError, match="without its sha256"):
        parse(ANSWER.replace("SHA256: cc\n", ""), read_settings())


def test_a_machine_without_mirrors_is_told_how_to_name_one(tmp_path: Path, source: Callable[..., Debian]) -> None:
    """Not Debian, or no apt sources."""
    with pytest.raises(ImageError, match="no Debian mirror is known here") as caught:
        fetch_debs(LOCK, tmp_path / "empty", source([]), ignore)
    assert "DEBIAN_MIRRORS" in caught.value.advice
