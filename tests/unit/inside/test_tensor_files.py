"""Single tensors and rows of safetensors files: the library's values, from files of any size, damage told in words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside import tensor_files
from pipeline.inside.job import JobError
from tests.support.huge_file import HOLE, write_huge

NAME = "model.weight"
ROWS = 7
ALWAYS_MAPS = Path("/proc/sys/vm/overcommit_memory").read_text(encoding="ascii").strip() == "1"


@pytest.fixture(params=["float32", "bfloat16", "float16", "uint8", "int64"])
def tensor(request: pytest.FixtureRequest) -> Any:
    """Seven rows of numbers of one type."""
    import torch

    return torch.arange(ROWS * 5).reshape(ROWS, 5).to(getattr(torch, request.param))


def write(path: Path, tensor: Any) -> Path:
    """Write the tensor by the library, others before and behind it."""
    from safetensors.torch import save_file

    save_file({"a": tensor[:3].clone(), NAME: tensor, "z": tensor[2:].clone()}, path)
    return path


def write_with_hole(path: Path) -> int:
    """Write a file that is larger than the memory, with a second tensor; return the rows of the first, the hole."""
    import torch

    return write_huge(path, {NAME: torch.arange(ROWS * 5, dtype=torch.float32).reshape(ROWS, 5)})


def test_a_tensor_is_that_of_the_library(tmp_path: Path, tensor: Any) -> None:
    """Type, shape and every number."""
    import torch

    found = tensor_files.read_tensor(write(tmp_path / "model.safetensors", tensor), NAME)
    assert found.dtype == tensor.dtype
    assert torch.equal(found, tensor)


@pytest.mark.parametrize(("first", "last"), [(0, ROWS), (2, 5), (6, 7), (3, 3), (5, 100)])
def test_rows_are_those_of_the_tensor(tmp_path: Path, tensor: Any, first: int, last: int) -> None:
    """From the first to the last of them, none at all, and beyond the end, as Python's slices have it."""
    import torch

    found = tensor_files.read_rows(write(tmp_path / "model.safetensors", tensor), NAME, first, last)
    assert found.dtype == tensor.dtype
    assert torch.equal(found, tensor[first:last])


@pytest.mark.skipif(ALWAYS_MAPS, reason="vm.overcommit_memory is 1: this kernel maps whatever is asked for")
def test_the_library_by_itself_cannot_read_a_file_larger_than_the_memory(tmp_path: Path) -> None:
    """It maps for writing, which Linux refuses then: why files are read in another way."""
    from safetensors import safe_open

    path = tmp_path / "model.safetensors"
    write_with_hole(path)
    with pytest.raises(Exception, match="Cannot allocate memory"), safe_open(path, framework="pt") as stream:
        stream.get_tensor(NAME)


def test_a_file_larger_than_the_memory_is_read(tmp_path: Path) -> None:
    """Shape, tensor and rows of one that lies behind more bytes than memory and swap hold."""
    import torch

    path = tmp_path / "model.safetensors"
    write_with_hole(path)
    whole = torch.arange(ROWS * 5, dtype=torch.float32).reshape(ROWS, 5)
    assert tensor_files.tensor_shape(path, NAME) == [ROWS, 5]
    assert torch.equal(tensor_files.read_tensor(path, NAME), whole)
    assert torch.equal(tensor_files.read_rows(path, NAME, 4, 6), whole[4:6])


def test_rows_of_a_large_tensor_take_no_memory_for_the_rest(tmp_path: Path) -> None:
    """A tensor that is larger than the memory: its last row is read."""
    path = tmp_path / "model.safetensors"
    rows = write_with_hole(path)
    assert not tensor_files.read_rows(path, HOLE, rows - 1, rows).any()


def test_a_file_that_was_cut_is_told(tmp_path: Path) -> None:
    """Whole tensors and rows: with the file's name and what to do."""
    import torch

    path = write(tmp_path / "model.safetensors", torch.ones(ROWS, 5))
    os.truncate(path, path.stat().st_size - 4)
    with pytest.raises(JobError, match="cannot be read") as whole:
        tensor_files.read_tensor(path, NAME)
    with pytest.raises(JobError, match="shorter than its header") as rows:
        tensor_files.read_rows(path, "z", 0, 5)
    assert whole.value.where == f"model.safetensors: {NAME}"
    assert rows.value.where == "model.safetensors"


def test_rows_that_a_header_only_claims_get_no_memory(tmp_path: Path) -> None:
    """A tensor of 2^50 bytes in a small file."""
    import torch

    from pipeline.inside.safetensors_format import header

    path = tmp_path / "model.safetensors"
    path.write_bytes(header({NAME: (torch.uint8, (2**40, 2**10))}))
    with pytest.raises(JobError, match="shorter than its header"):
        tensor_files.read_rows(path, NAME, 0, 2**40)
