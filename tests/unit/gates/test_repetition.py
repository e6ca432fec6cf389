"""A second training: what differs is named, tensor by tensor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.gates.repetition import ADAPTER, same_adapter
from pipeline.gates.verdict import Evidence, Verdict
from tests.support.healthy_build import recipe


def write_adapter(folder: Path, **tensors: bytes) -> Path:
    """Write a safetensors file of one-dimensional byte tensors; return the folder."""
    header, start = {}, 0
    for name, data in tensors.items():
        header[name] = {"dtype": "U8", "shape": [len(data)], "data_offsets": [start, start + len(data)]}
        start += len(data)
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    (folder / ADAPTER).parent.mkdir(parents=True)
    (folder / ADAPTER).write_bytes(len(text).to_bytes(8, "little") + text + b"".join(tensors.values()))
    return folder


def judged(first: Path, second: Path, trainer: str = "trl") -> Verdict:
    """Return the verdict on two trainings."""
    (verdict,) = same_adapter(Evidence(second, {"first": first}, recipe(train={"trainer": trainer, "repeat": True})))
    return verdict


def test_equal_tensors_pass_whatever_their_order(tmp_path: Path) -> None:
    """They are compared by name."""
    first = write_adapter(tmp_path / "first", a=b"1234", b=b"56")
    verdict = judged(first, write_adapter(tmp_path / "second", b=b"56", a=b"1234"))
    assert (verdict.outcome, verdict.value, verdict.evidence) == ("passed", 0, ("2 tensors are equal",))


@pytest.mark.parametrize(("trainer", "outcome"), [("trl", "failed"), ("trl-cuda", "warned"), ("unsloth", "warned")])
def test_tensors_that_differ_are_named(tmp_path: Path, trainer: str, outcome: str) -> None:
    """On a processor equal bytes are promised, on a card they are not."""
    first = write_adapter(tmp_path / "first", a=b"1234", b=b"56", c=b"7", d=b"8")
    second = write_adapter(tmp_path / "second", a=b"1235", b=b"56", c=b"77", e=b"8")
    verdict = judged(first, second, trainer)
    assert (verdict.outcome, verdict.value) == (outcome, 4)
    assert verdict.evidence == ("a", "c", "d", "e")
    assert "4 of 5 tensors" in verdict.cause


def test_a_difference_behind_the_first_chunk_is_found(tmp_path: Path) -> None:
    """Large tensors are read piece by piece, to their end."""
    large = bytes(2**20 + 3)
    first = write_adapter(tmp_path / "first", a=large)
    assert judged(first, write_adapter(tmp_path / "second", a=large[:-1] + b"1")).evidence == ("a",)


def test_a_damaged_file_is_not_measured(tmp_path: Path) -> None:
    """It says nothing about the training."""
    first = write_adapter(tmp_path / "first", a=b"1234")
    second = write_adapter(tmp_path / "second", a=b"1234")
    (second / ADAPTER).write_bytes(b"no tensors at all")
    assert judged(first, second).outcome == "not measured"
