"""Fetching the archive: verified before anything reads it, from pip, the cache, or by hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llama_cpp_vendor.fetch import ARCHIVE_VARIABLE, fetch, verify_archive
from llama_cpp_vendor.pin import Pin
from pipeline.errors import VendorError
from tests.support.vendor_archive import pin_of, write_archive

ENVIRONMENT = {"PATH": os.environ["PATH"]}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A small archive in a folder of its own."""
    folder = tmp_path / "index"
    folder.mkdir()
    return write_archive(folder)


@pytest.fixture
def pin(archive: Path) -> Pin:
    """The pin of that archive."""
    return pin_of(archive)


def fake_python(folder: Path, script: str) -> Path:
    """Write an interpreter whose pip is a shell script; `$dest` is the folder that pip was told."""
    path = folder / "python"
    take = 'while [ $# -gt 0 ]; do [ "$1" = --dest ] && dest=$2; [ "$1" = --requirement ] && list=$2; shift; done\n'
    path.write_text(f"#!/bin/sh\n{take}{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_a_right_archive_is_accepted(archive: Path, pin: Pin) -> None:
    """Size and sha256 as pinned: nothing is raised."""
    verify_archive(archive, pin)


def test_a_wrong_hash_names_file_expected_and_found(archive: Path, pin: Pin) -> None:
    """One changed byte of the same length is refused with both digests."""
    content = bytearray(archive.read_bytes())
    content[-1] ^= 1
    archive.write_bytes(content)
    with pytest.raises(VendorError) as caught:
        verify_archive(archive, pin)
    assert str(archive) in caught.value.where
    assert pin.sha256 in caught.value.what
    assert pin_of(archive).sha256 in caught.value.what
    assert "delete" in caught.value.advice


def test_a_truncated_archive_is_refused_by_its_size(archive: Path, pin: Pin) -> None:
    """A download that was cut off says so."""
    archive.write_bytes(archive.read_bytes()[:-10])
    with pytest.raises(VendorError, match=f"expected {pin.size_bytes} bytes, found {pin.size_bytes - 10}"):
        verify_archive(archive, pin)


def test_pip_is_told_the_hash(archive: Path, pin: Pin, tmp_path: Path) -> None:
    """The requirement that pip reads carries the sha256, so pip refuses another file before it opens it."""
    python = fake_python(tmp_path, f'cp "$list" {tmp_path}/seen; cp {archive} "$dest"')
    fetch(pin, tmp_path / "cache", python, ENVIRONMENT)
    assert (tmp_path / "seen").read_text() == f"llama_cpp_python==0.3.36 --hash=sha256:{pin.sha256}\n"


def test_a_fetched_archive_is_kept_and_not_fetched_again(archive: Path, pin: Pin, tmp_path: Path) -> None:
    """The second fetch needs no pip."""
    cache = tmp_path / "cache"
    first = fetch(pin, cache, fake_python(tmp_path, f'cp {archive} "$dest"'), ENVIRONMENT)
    assert fetch(pin, cache, fake_python(tmp_path, "exit 1"), ENVIRONMENT) == first
    assert first.read_bytes() == archive.read_bytes()


def test_a_wrong_file_from_the_index_is_never_kept(archive: Path, pin: Pin, tmp_path: Path) -> None:
    """Whatever pip leaves is verified before it gets its place in the cache."""
    python = fake_python(tmp_path, f'printf wrong > "$dest/{pin.file}"')
    with pytest.raises(VendorError, match="wrong size"):
        fetch(pin, tmp_path / "cache", python, ENVIRONMENT)
    assert not list((tmp_path / "cache" / "archives").iterdir())


def test_a_refusal_by_pip_is_passed_on(pin: Pin, tmp_path: Path) -> None:
    """Expected and found stand in the error."""
    complaint = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES\\n    Expected sha256 x\\n    Got        abcdef\\n"
    python = fake_python(tmp_path, f"printf '{complaint}' >&2; exit 1")
    with pytest.raises(VendorError, match=f"expected sha256 {pin.sha256}, found abcdef"):
        fetch(pin, tmp_path / "cache", python, ENVIRONMENT)


def test_no_network_advises_to_place_the_file_by_hand(pin: Pin, tmp_path: Path) -> None:
    """The last words of pip are shown, and the way around."""
    python = fake_python(tmp_path, "echo 'ERROR: No matching distribution found' >&2; exit 1")
    with pytest.raises(VendorError) as caught:
        fetch(pin, tmp_path / "cache", python, ENVIRONMENT)
    assert "No matching distribution found" in caught.value.what
    assert ARCHIVE_VARIABLE in caught.value.advice


def test_a_missing_interpreter_is_an_error_with_advice(pin: Pin, tmp_path: Path) -> None:
    """A build environment that is not there is told as such."""
    with pytest.raises(VendorError, match="cannot be started"):
        fetch(pin, tmp_path / "cache", tmp_path / "absent", ENVIRONMENT)


def test_an_archive_placed_by_hand_is_used_where_it_lies(archive: Path, pin: Pin, tmp_path: Path) -> None:
    """The variable comes before cache and pip."""
    environment = {ARCHIVE_VARIABLE: str(archive)}
    assert fetch(pin, tmp_path / "cache", tmp_path / "absent", environment) == archive


def test_an_archive_placed_by_hand_is_verified_too(archive: Path, pin: Pin, tmp_path: Path) -> None:
    """A wrong file is refused though the user named it."""
    archive.write_bytes(b"x" * pin.size_bytes)
    with pytest.raises(VendorError, match="wrong sha256"):
        fetch(pin, tmp_path / "cache", tmp_path / "absent", {ARCHIVE_VARIABLE: str(archive)})


def test_a_variable_that_names_nothing_is_an_error(pin: Pin, tmp_path: Path) -> None:
    """A misspelt path does not fall back to a download."""
    with pytest.raises(VendorError, match="does not exist"):
        fetch(pin, tmp_path / "cache", tmp_path / "absent", {ARCHIVE_VARIABLE: str(tmp_path / "nowhere")})
