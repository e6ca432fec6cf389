"""A layer's canonical form: equal contents are equal bytes, and nothing that a program sees is lost."""

from __future__ import annotations

import io
import random
import tarfile

import pytest

from pipeline.images.layers import LayerBytes, rewrite_layer
from tests.support.image_archive import Entry, folder, layer, read

EPOCH = 1_000_000


def rewritten(data: bytes) -> tuple[bytes, LayerBytes]:
    """Return a layer's canonical bytes and their description."""
    target = io.BytesIO()
    described = rewrite_layer(io.BytesIO(data), target, EPOCH)
    return target.getvalue(), described


ENTRIES = [
    folder("opt"),
    folder("opt/venv"),
    Entry("opt/venv/a.py", b"a = 1\n", mtime=5),
    Entry("opt/venv/b", b"", kind=tarfile.SYMTYPE, link="a.py"),
    Entry("opt/venv-other", b"sorted after the folder's files"),
]


@pytest.mark.parametrize("seed", range(5))
def test_order_does_not_count(seed: int) -> None:
    """The engine's storage lists files as it likes."""
    shuffled = random.Random(seed).sample(ENTRIES, len(ENTRIES))
    assert rewritten(layer(*shuffled))[0] == rewritten(layer(*ENTRIES))[0]


def test_parents_come_first() -> None:
    """Sorted by the parts of the path, so that what is in a folder follows it."""
    assert list(read(rewritten(layer(*reversed(ENTRIES)))[0])) == [entry.path for entry in ENTRIES]


def test_later_times_become_the_epoch_and_earlier_ones_stay() -> None:
    """When it was built does not count; the time that came out of a package does."""
    members = read(rewritten(layer(Entry("new", b"1", mtime=EPOCH + 7.25), Entry("old", b"1", mtime=3)))[0])
    assert (members["new"].mtime, members["old"].mtime) == (EPOCH, 3)


def test_other_times_and_names_of_owners_do_not_count() -> None:
    """Access and change times, and what the build machine calls its users."""
    plain = layer(Entry("file", b"1"))
    noted = layer(Entry("file", b"1", owner="somebody", records={"atime": "7.5", "ctime": "8.5"}))
    assert rewritten(noted)[0] == rewritten(plain)[0]


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_paths_survive_in_every_format(form: int) -> None:
    """Paths of more than a hundred signs, written by any tar."""
    path = "/".join(["folder-with-a-name"] * 12) + "/" + "ファイル" * 20
    assert list(read(rewritten(layer(Entry(path, b"1"), form=form))[0])) == [path]


def test_extended_attributes_stay() -> None:
    """A file's capabilities are part of what it is."""
    records = {"SCHILY.xattr.security.capability": "\x01\x00\x00\x02", "SCHILY.xattr.user.note": "メモ"}
    kept = read(rewritten(layer(Entry("ping", b"1", records=records)))[0])["ping"].pax_headers
    assert {key: kept[key] for key in records} == records


def test_an_attribute_that_is_no_text_stays() -> None:
    """Bytes that are no UTF-8 come back as they were."""
    value = b"\x01\xff\xfe".decode("utf-8", "surrogateescape")
    once = rewritten(layer(Entry("ping", b"1", records={"SCHILY.xattr.user.raw": value})))[0]
    assert read(once)["ping"].pax_headers["SCHILY.xattr.user.raw"] == value
    assert rewritten(once)[0] == once


def test_the_first_of_the_hard_links_has_the_bytes() -> None:
    """Whichever name the storage listed first."""
    one = layer(Entry("z", b"bytes"), Entry("a", kind=tarfile.LNKTYPE, link="z"), Entry("m", b"", kind=b"1", link="z"))
    other = layer(
        Entry("m", b"bytes"), Entry("z", kind=tarfile.LNKTYPE, link="m"), Entry("a", b"", kind=b"1", link="m")
    )
    assert rewritten(one)[0] == rewritten(other)[0]
    members = read(rewritten(one)[0])
    assert members["a"].size == 5
    assert [members[name].linkname for name in ("m", "z")] == ["a", "a"]


def test_a_hard_link_outlives_a_dropped_name() -> None:
    """A file that was also linked into /tmp keeps its bytes."""
    data = layer(Entry("tmp/x", b"bytes"), Entry("usr/x", kind=tarfile.LNKTYPE, link="tmp/x"))
    members = read(rewritten(data)[0])
    assert {name: (member.isreg(), member.size) for name, member in members.items()} == {"usr/x": (True, 5)}


def test_whiteouts_stay() -> None:
    """What a layer deletes from those below stays deleted, also with an opaque folder."""
    marks = ["etc/.wh.motd", "srv/.wh..wh..opq"]
    assert list(read(rewritten(layer(*(Entry(mark) for mark in marks)))[0])) == marks


@pytest.mark.parametrize(
    "path",
    ["tmp/debs/a.deb", "run/lock/x", "var/log/dpkg.log", "var/cache/ldconfig/aux-cache", "tmp/.wh.debs", "etc/passwd-"],
)
def test_leftovers_go(path: str) -> None:
    """Logs, caches, temporary files and the marks of their deletion, and the folders that only led to them."""
    parents = [folder(path[: path.index("/")]), *([folder("var/log")] if "log" in path else [])]
    data, described = rewritten(layer(*parents, Entry(path, b"1")))
    assert (read(data), described.entries) == ({}, 0)


def test_names_that_only_begin_like_a_leftover_stay() -> None:
    """`/tmpfiles` is not in `/tmp`; an empty folder that was made on purpose is kept."""
    data = layer(
        Entry("tmpfiles", b"1"), folder("cache"), folder("etc"), Entry("etc/passwd-", b""), Entry("etc/passwd", b"p")
    )
    assert list(read(rewritten(data)[0])) == ["cache", "etc", "etc/passwd", "tmpfiles"]


def test_the_later_of_two_entries_counts() -> None:
    """As for the engine, which unpacks one after the other."""
    data = rewritten(layer(Entry("./file", b"old"), Entry("file", b"newer")))[0]
    assert {name: member.size for name, member in read(data).items()} == {"file": 5}


def test_modes_and_owners_stay() -> None:
    """Set-user-id bits and numeric owners are part of what a file is."""
    member = read(rewritten(layer(Entry("su", b"1", mode=0o4755)))[0])["su"]
    assert (member.mode, member.uid, member.uname) == (0o4755, 0, "")


def test_the_canonical_form_is_its_own() -> None:
    """Written anew it does not change, and its digest is that of the bytes."""
    once, described = rewritten(layer(*ENTRIES))
    assert rewritten(once) == (once, described)
    assert described.size == len(once)


def test_big_files_pass(tmp_path: object) -> None:
    """A file larger than any buffer arrives whole."""
    content = random.Random(1).randbytes(9_000_001)
    with tarfile.open(fileobj=io.BytesIO(rewritten(layer(Entry("big", content)))[0])) as archive:
        stream = archive.extractfile("big")
        assert stream is not None
        assert stream.read() == content
