"""The lock of the images: what stages may run in, by digest."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import ImageError
from pipeline.images.lock import LockedImage, locked_image, read_lock, write_entry

ENTRY = {"id": "sha256:" + "a" * 64, "labels": {"llama.cpp": "abc"}, "size_bytes": 12}


def test_an_entry_comes_back(tmp_path: Path) -> None:
    """What was written is found by the environment's name, with its labels."""
    write_entry("training-cpu", ENTRY, tmp_path / "images.lock")
    found = locked_image("training", tmp_path / "images.lock")
    assert found == LockedImage("training-cpu", "sha256:" + "a" * 64, {"llama.cpp": "abc"})


def test_other_entries_stay(tmp_path: Path) -> None:
    """One image is written without a change to the others, and the names are sorted."""
    for name in ("training-cpu", "inference-cpu"):
        write_entry(name, ENTRY, tmp_path / "images.lock")
    write_entry("training-cpu", {**ENTRY, "size_bytes": 13}, tmp_path / "images.lock")
    assert list(read_lock(tmp_path / "images.lock")) == ["inference-cpu", "training-cpu"]


def test_variants_are_apart(tmp_path: Path) -> None:
    """The CUDA image is not the CPU image."""
    write_entry("training-cuda", ENTRY, tmp_path / "images.lock")
    assert locked_image("training", tmp_path / "images.lock", variant="cuda").name == "training-cuda"
    with pytest.raises(ImageError, match=r"training-cpu.*only training-cuda"):
        locked_image("training", tmp_path / "images.lock")


def test_no_lock_says_how_to_make_it(tmp_path: Path) -> None:
    """The advice names the session that builds the images."""
    with pytest.raises(ImageError) as caught:
        locked_image("inference", tmp_path / "images.lock")
    assert "nox -s images" in caught.value.advice


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 99}'])
def test_a_damaged_lock_is_no_traceback(tmp_path: Path, text: str) -> None:
    """Broken JSON and an unknown format are errors with a place."""
    (tmp_path / "images.lock").write_text(text)
    with pytest.raises(ImageError) as caught:
        read_lock(tmp_path / "images.lock")
    assert "images.lock" in caught.value.where
