"""Tensor files against each other: GGUF, safetensors, NumPy."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside.job import Job
from tests.support.gguf_file import run_job, write_small
from tests.support.vendored import require_llama_cpp

require_llama_cpp()


def compare(folder: Path, name: str) -> dict[str, Any]:
    """Run the program over `first/name` and `second/name`."""
    from pipeline.inside import tensor_differences

    inputs = {side: folder / side for side in ("first", "second")}
    (folder / "output").mkdir()
    tensor_differences.main(Job("tensor_differences", {}, inputs, folder / "output", folder, 1))
    found: dict[str, Any] = json.loads((folder / "output" / "differences.json").read_text())
    return found


def sides(folder: Path) -> tuple[Path, Path]:
    """Make both folders."""
    for side in ("first", "second"):
        (folder / side).mkdir()
    return folder / "first", folder / "second"


def safetensors(path: Path, tensors: dict[str, tuple[str, list[int], bytes]], metadata: dict[str, str]) -> None:
    """Write a safetensors file by hand."""
    header: dict[str, Any] = {"__metadata__": metadata}
    content = b""
    for name, (kind, shape, data) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(content), len(content) + len(data)]}
        content += data
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content)


def floats(*values: float) -> bytes:
    """Return float32 numbers."""
    return struct.pack(f"<{len(values)}f", *values)


def test_gguf_by_key_and_by_number(tmp_path: Path) -> None:
    """The metadata of both sides, the place of the first number that differs, the largest and mean difference."""
    first, second = sides(tmp_path)
    write_small(first / "m.gguf", {"general.name": "a"}, [1.0, 2.0, 3.0, 4.0])
    write_small(second / "m.gguf", {"general.name": "b"}, [1.0, 2.5, 3.0, 5.0])
    found = compare(tmp_path, "m.gguf")
    assert found["metadata"]["second"] == {"general.name": "b"}
    (changed,) = found["tensors"]["changed"]
    assert changed == {
        "name": "weight",
        "shape": [4],
        "numbers": 4,
        "differing": 2,
        "index": [1],
        "first": 2.0,
        "second": 2.5,
        "largest": 1.0,
        "mean": 0.375,
    }


def test_safetensors_types_shapes_names_and_order(tmp_path: Path) -> None:
    """Each is a difference of its own; equal tensors are only counted."""
    first, second = sides(tmp_path)
    one = {
        "same": ("F32", [2], floats(1, 2)),
        "gone": ("F32", [1], floats(1)),
        "typed": ("F32", [1], floats(1.5)),
        "shaped": ("F32", [2], floats(1, 2)),
    }
    other = {
        "shaped": ("F32", [1, 2], floats(1, 2)),
        "typed": ("BF16", [1], b"\xc0\x3f"),
        "same": ("F32", [2], floats(1, 2)),
        "new": ("F32", [1], floats(1)),
    }
    safetensors(first / "m.safetensors", one, {"format": "pt"})
    safetensors(second / "m.safetensors", other, {"format": "pt"})
    tensors = compare(tmp_path, "m.safetensors")["tensors"]
    assert (tensors["missing"], tensors["extra"], tensors["equal"], tensors["moved"]) == (["gone"], ["new"], 1, True)
    typed, shaped = tensors["changed"]
    assert (typed["type"], typed["differing"]) == (["F32", "BF16"], 0)
    assert shaped["shape"] == [[2], [1, 2]]


def test_numbers_that_are_not_finite(tmp_path: Path) -> None:
    """NaN equals NaN; NaN in place of a number differs, and does not spoil the mean of the others."""
    first, second = sides(tmp_path)
    nan = float("nan")
    safetensors(first / "m.safetensors", {"w": ("F32", [3], floats(nan, 1, 2))}, {})
    safetensors(second / "m.safetensors", {"w": ("F32", [3], floats(nan, nan, 3))}, {})
    (changed,) = compare(tmp_path, "m.safetensors")["tensors"]["changed"]
    assert (changed["differing"], changed["second"], changed["largest"], changed["mean"]) == (2, "nan", 1.0, 1.0)


def test_arrays_of_records_field_by_field(tmp_path: Path) -> None:
    """As forms publish their logits."""
    import numpy as np

    first, second = sides(tmp_path)
    kind = np.dtype([("ids", "<u4", (2,)), ("rest", "<f4")])
    records = np.zeros(3, kind)
    np.save(first / "logits.npy", records)
    records["ids"][2, 1] = 7
    np.save(second / "logits.npy", records)
    tensors = compare(tmp_path, "logits.npy")["tensors"]
    (changed,) = tensors["changed"]
    assert (changed["name"], changed["index"], changed["second"], tensors["equal"]) == ("ids", [2, 1], 7.0, 1)


@pytest.mark.parametrize("damage", [b"", b"GGUF", b"\x93NUMPY", b"\xff" * 64])
@pytest.mark.parametrize("name", ["m.gguf", "m.safetensors", "m.npy"])
def test_a_damaged_side_is_named(name: str, damage: bytes, tmp_path: Path) -> None:
    """Whatever it holds: damaged files are what people compare."""
    first, second = sides(tmp_path)
    for path in (first / name, second / name):
        path.write_bytes(damage)
    assert set(compare(tmp_path, name)["unreadable"]) == {"first", "second"}


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """A NumPy file of objects is refused, not loaded."""
    import numpy as np

    first, second = sides(tmp_path)
    for path in (first / "m.npy", second / "m.npy"):
        np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    assert "Python objects" in compare(tmp_path, "m.npy")["unreadable"]["first"]


@pytest.mark.slow
def test_quantized_blocks_by_the_numbers_that_they_stand_for(tmp_path: Path, converted: Path) -> None:
    """F16 against Q4_K: rounded, never far; a damaged block of the same type: one place."""
    import shutil

    from pipeline.inside.gguf_header import read_header

    first, second = sides(tmp_path)
    (tmp_path / "job").mkdir()
    code, _, output = run_job(tmp_path / "job", "quantize", {"type": "Q4_K_M"}, {"gguf": converted})
    assert code == 0
    shutil.copyfile(output / "model-Q4_K_M.gguf", first / "m.gguf")
    shutil.copyfile(output / "model-Q4_K_M.gguf", second / "m.gguf")
    header = read_header(second / "m.gguf")
    tensor = next(one for one in header.tensors if one.type == "Q4_K")
    with (second / "m.gguf").open("r+b") as stream:
        stream.seek(header.data_start + tensor.offset + tensor.bytes - 1)
        last = stream.read(1)
        stream.seek(-1, 1)
        stream.write(bytes([last[0] ^ 0x0F]))
    tensors = compare(tmp_path, "m.gguf")["tensors"]
    (changed,) = tensors["changed"]
    assert (changed["name"], changed["differing"]) == (tensor.name, 1)
    assert changed["index"][-1] >= tensor.shape[0] - 256
