"""Places against places: which files differ, and by which kind of comparison."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.differing.compare import compare_files, compare_parts, compare_places
from pipeline.differing.page import render
from pipeline.differing.places import ALONE, Place, files_below


def no_tensors(_first: Path, _second: Path) -> Mapping[str, Any]:
    """Stand for the job where no tensor file is compared."""
    raise AssertionError("no tensors here")


def pair(folder: Path, name: str, first: bytes, second: bytes) -> tuple[Path, Path]:
    """Write one file on each side."""
    paths = folder / "a" / name, folder / "b" / name
    for path, content in zip(paths, (first, second), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return paths


def test_files_of_one_side_only_and_equal_ones(tmp_path: Path) -> None:
    """Every path of both sides is accounted for."""
    pair(tmp_path, "same.txt", b"x", b"x")
    (tmp_path / "a" / "left.txt").write_bytes(b"")
    (tmp_path / "b" / "right.txt").write_bytes(b"")
    found = compare_parts("", files_below(tmp_path / "a"), files_below(tmp_path / "b"), ({}, {}), no_tensors)
    assert [(one.path, one.state) for one in found.files] == [
        ("left.txt", "only in the first"),
        ("right.txt", "only in the second"),
    ]
    assert found.equal == 1


@pytest.mark.parametrize(
    ("name", "first", "second", "kind"),
    [
        ("a.json", b'{"a": 1}', b'{"a": 2}', "fields"),
        ("a.json", b"{", b'{"a": 2}', "bytes"),
        ("a.json", b"[" * 100_000, b"{}", "bytes"),
        ("a.jsonl", b'{"a": 1}\n', b'{"a": 2}\n', "rows"),
        ("a.jsonl", b"x\n", b'{"a": 2}\n', "bytes"),
        ("a.md", "春\n".encode(), "夏\n".encode(), "lines"),
        ("a.bin", b"\xff\x00", b"\xff\x01", "bytes"),
        ("a.txt", b"x" * (2 << 20), b"y" * (2 << 20), "bytes"),
    ],
)
def test_each_kind_of_file_by_what_it_is(name: str, first: bytes, second: bytes, kind: str, tmp_path: Path) -> None:
    """What cannot be read as its name says is compared by byte."""
    found, details = compare_files(*pair(tmp_path, name, first, second), no_tensors)
    assert found == kind
    json.dumps(details)


@pytest.mark.parametrize(
    ("first", "second", "offset"),
    [
        (b"abc", b"abd", 2),
        (b"abc", b"abcd", 3),
        (b"", b"x", 0),
        (b"x" * (1 << 20) + b"a", b"x" * (1 << 20) + b"b", 1 << 20),
    ],
)
def test_the_first_byte_that_differs(first: bytes, second: bytes, offset: int, tmp_path: Path) -> None:
    """Where one file ends counts as a difference; whole megabytes are passed over."""
    _, details = compare_files(*pair(tmp_path, "a.bin", b"\xff" + first, b"\xff" + second), no_tensors)
    assert details["offset"] == offset + 1


def test_a_stage_of_one_side_only(tmp_path: Path) -> None:
    """All its files are of one side."""
    file = pair(tmp_path, "x", b"", b"")[0]
    found = compare_places(Place("A", {"train": {"x": file}}), Place("B", {}), no_tensors)
    assert [(one.part, one.files[0].state) for one in found] == [("train", "only in the first")]


def test_the_first_stage_that_differs_is_named_with_what_changed_in_its_key(tmp_path: Path) -> None:
    """In the order of the work, and equal stages are only counted."""
    first, second = pair(tmp_path, "rows.jsonl", b'{"id": 1}\n', b'{"id": 2}\n')
    same = pair(tmp_path, "same", b"", b"")[0]
    here = Place("A", {"fetch-data": {"x": same}, "train": {"x": first}}, {"train": {"fixed": {"isa": "avx2"}}})
    there = Place("B", {"fetch-data": {"x": same}, "train": {"x": second}}, {"train": {"fixed": {"isa": "avx512"}}})
    text = render(compare_places(here, there, no_tensors), "A", "B")
    assert "1 of 2 stages differ, the first is train" in text
    assert "key: fixed.isa: avx2 → avx512" in text
    assert "fetch-data" not in text


def test_equal_places_in_one_line(tmp_path: Path) -> None:
    """With how many files that means."""
    file = pair(tmp_path, "x", b"", b"")[0]
    place = Place("A", {ALONE: {"x": file}})
    assert render(compare_places(place, place, no_tensors), "A", "B") == "A and B: 1 file, all equal"


def test_metadata_and_tensors_in_words(tmp_path: Path) -> None:
    """What the job published becomes lines; metadata is shown by what differs."""
    published = {
        "metadata": {"first": {"name": "x", "same": [1, 2]}, "second": {"name": "y", "same": [1, 2]}},
        "tensors": {
            "missing": ["gone"],
            "extra": [],
            "moved": True,
            "equal": 3,
            "changed": [
                {"name": "w", "shape": [[2], [3]]},
                {"name": "v", "shape": [2], "numbers": 2, "differing": 0, "largest": 0.0, "mean": 0.0},
                {
                    "name": "u",
                    "type": ["F16", "Q4_K"],
                    "shape": [2],
                    "numbers": 2,
                    "differing": 1,
                    "index": [1],
                    "first": 0.5,
                    "second": "nan",
                    "largest": 0.0,
                    "mean": None,
                },
            ],
        },
    }
    files = pair(tmp_path, "m.gguf", b"1", b"2")
    place = [Place(name, {ALONE: {"m.gguf": file}}) for name, file in zip("AB", files, strict=True)]
    text = render(compare_places(place[0], place[1], lambda _first, _second: published), "A", "B")
    for line in (
        "metadata name: x → y",
        "tensor only in the first: gone",
        "another order",
        "3 of 6 shared tensors differ",
        "w: shape [2] → [3]",
        "v: the same numbers, stored otherwise",
        "u: type F16 → Q4_K, 1 of 2 numbers differ, first at [1]: 0.5 → nan; largest difference 0, mean not measured",
    ):
        assert line in text
    assert "same" not in text.replace("the same numbers", "")


def test_a_tensor_file_that_cannot_be_read_says_which_and_why(tmp_path: Path) -> None:
    """A damaged artifact is what people compare."""
    files = pair(tmp_path, "m.gguf", b"1", b"2")
    place = [Place(name, {ALONE: {"m.gguf": file}}) for name, file in zip("AB", files, strict=True)]
    told = {"unreadable": {"second": "its header cannot be read"}}
    text = render(compare_places(place[0], place[1], lambda _first, _second: told), "A", "B")
    assert "the second one cannot be read: its header cannot be read" in text
