"""Blocks of a quantized file against the weights of its source."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from pipeline.inside.gguf_header import read_header
from pipeline.inside.job import JobError
from tests.support.gguf_file import run_job
from tests.support.vendored import require_llama_cpp

pytestmark = pytest.mark.slow
require_llama_cpp()

_Q8_0_BYTES: Final = 34
"""Of a block: a scale of 16 bits, 32 weights of 8."""


@pytest.fixture(scope="module", params=["Q4_K_M", "Q2_K", "Q8_0", "IQ4_NL", "TQ1_0", "BF16"])
def quantized(request: pytest.FixtureRequest, converted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of each kind of type. Not to be changed."""
    code, _, output = run_job(tmp_path_factory.mktemp("job"), "quantize", {"type": request.param}, {"gguf": converted})
    assert code == 0
    return output / f"model-{request.param}.gguf"


def compared(converted: Path, output: Path, *, weighted: bool = False, threads: int = 1) -> dict[str, Any]:
    """Compare a quantized file with its source."""
    from pipeline.inside.block_values import compare_blocks

    return compare_blocks(converted / "model-f16.gguf", output, weighted=weighted, threads=threads)


def test_no_type_of_llama_cpp_is_taken_for_damage(quantized: Path, converted: Path) -> None:
    """From ternary weights to BF16; and every block was looked at, whatever the number of threads."""
    from pipeline.inside.gguf_header import BLOCK_LENGTHS

    found = compared(converted, quantized)
    assert (found["damaged"], found["examples"]) == (0, [])
    was = {tensor.name: tensor.type for tensor in read_header(converted / "model-f16.gguf").tensors}
    others = [tensor for tensor in read_header(quantized).tensors if tensor.type != was[tensor.name]]
    assert found["blocks"] == sum(tensor.elements // BLOCK_LENGTHS[tensor.type] for tensor in others)
    assert all(0 < kind["largest_error"] < 0.9 for kind in found["types"].values())
    assert compared(converted, quantized, threads=3) == found


@pytest.mark.parametrize("damage", [bytes, lambda size: b"\xff" * size], ids=["zeros", "ones"])
def test_one_damaged_block_is_named(
    damage: Callable[[int], bytes], quantized: Path, converted: Path, tmp_path: Path
) -> None:
    """256 weights that are zero, or no numbers, whatever the type."""
    path = tmp_path / quantized.name
    shutil.copyfile(quantized, path)
    header = read_header(path)
    tensor = next(one for one in header.tensors if one.name == "blk.0.ffn_gate.weight")
    size = 256 * tensor.bytes // tensor.elements
    with path.open("r+b") as stream:
        stream.seek(header.data_start + tensor.offset + 3 * size)
        stream.write(damage(size))
    found = compared(converted, path)
    assert found["damaged"] >= 1
    assert all(place.startswith("blk.0.ffn_gate.weight, block ") for place in found["examples"])


@pytest.mark.parametrize("damage", [bytes, lambda size: b"\xff" * size], ids=["zeros", "ones"])
def test_damage_is_found_in_weights_rounded_by_importance(
    damage: Callable[[int], bytes], converted: Path, tmp_path: Path
) -> None:
    """There errors may be larger than the largest weight; an empty block and numbers that are none still show."""
    code, _, output = run_job(tmp_path / "job", "quantize", {"type": "Q4_K_M"}, {"gguf": converted})
    assert code == 0
    path = output / "model-Q4_K_M.gguf"
    header = read_header(path)
    tensor = next(one for one in header.tensors if one.name == "blk.0.ffn_gate.weight")
    with path.open("r+b") as stream:
        stream.seek(header.data_start + tensor.offset)
        stream.write(damage(256 * tensor.bytes // tensor.elements))
    assert compared(converted, path, weighted=True)["damaged"] == 1


def test_a_large_weight_that_was_rounded_to_nothing_is_no_empty_block(converted: Path, tmp_path: Path) -> None:
    """By importance that may happen: the block's error is its largest weight, and yet it holds the others."""
    from pipeline.inside.ggml_traits import to_floats

    code, _, output = run_job(tmp_path / "job", "quantize", {"type": "Q8_0"}, {"gguf": converted})
    assert code == 0
    path = output / "model-Q8_0.gguf"
    header = read_header(path)
    tensor = next(one for one in header.tensors if one.name == "blk.0.ffn_gate.weight")
    start = header.data_start + tensor.offset
    stored = np.frombuffer(path.read_bytes()[start : start + _Q8_0_BYTES], np.uint8)
    largest = int(np.abs(to_floats("Q8_0", stored, 32)).argmax())
    with path.open("r+b") as stream:
        stream.seek(start + 2 + largest)  # after the scale: one byte for each weight
        stream.write(b"\0")
    assert compared(converted, path, weighted=True)["damaged"] == 0
    assert compared(converted, path)["examples"] == ["blk.0.ffn_gate.weight, block 0"]


def test_files_of_other_tensors_are_not_compared(converted: Path, tmp_path: Path) -> None:
    """The tensor is named that one of them lacks."""
    from pipeline.inside.block_values import compare_blocks

    path = tmp_path / "renamed.gguf"
    path.write_bytes((converted / "model-f16.gguf").read_bytes().replace(b"blk.0.ffn_gate", b"blk.0.ffn_gone"))
    with pytest.raises(JobError, match=r"blk\.0\.ffn_gate\.weight"):
        compare_blocks(converted / "model-f16.gguf", path, weighted=False, threads=1)
