"""Blocks of a quantized file against the weights of its source."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.inside.gguf_header import read_header
from pipeline.inside.job import JobError
from tests.support.gguf_file import run_job
from tests.support.vendored import require_llama_cpp

pytestmark = pytest.mark.slow
require_llama_cpp()


@pytest.fixture(scope="module", params=["Q4_K_M", "Q2_K", "Q8_0", "IQ4_NL", "TQ1_0", "BF16"])
def quantized(request: pytest.FixtureRequest, converted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of each kind of type. Not to be changed."""
    code, _, output = run_job(tmp_path_factory.mktemp("job"), "quantize", {"type": request.param}, {"gguf": converted})
    assert code == 0
    return output / f"model-{request.param}.gguf"


def check(converted: Path, output: Path) -> None:
    """Compare a quantized file with its source."""
    from pipeline.inside.block_values import check_blocks

    source = converted / "model-f16.gguf"
    check_blocks(source, output, read_header(source), read_header(output))


def test_no_type_of_llama_cpp_is_taken_for_damage(quantized: Path, converted: Path) -> None:
    """From ternary weights to BF16."""
    check(converted, quantized)


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
    with pytest.raises(JobError, match="do not hold the weights") as caught:
        check(converted, path)
    assert caught.value.where.startswith("blk.0.ffn_gate.weight, block ")


@pytest.mark.parametrize("damage", [bytes, lambda size: b"\xff" * size], ids=["zeros", "ones"])
def test_damage_is_found_in_weights_rounded_by_importance(
    damage: Callable[[int], bytes], converted: Path, tmp_path: Path
) -> None:
    """There errors may be larger than the largest weight; an empty block and numbers that are none still show."""
    from pipeline.inside.block_values import check_blocks

    code, _, output = run_job(tmp_path / "job", "quantize", {"type": "Q4_K_M"}, {"gguf": converted})
    assert code == 0
    path, source = output / "model-Q4_K_M.gguf", converted / "model-f16.gguf"
    header = read_header(path)
    tensor = next(one for one in header.tensors if one.name == "blk.0.ffn_gate.weight")
    with path.open("r+b") as stream:
        stream.seek(header.data_start + tensor.offset)
        stream.write(damage(256 * tensor.bytes // tensor.elements))
    with pytest.raises(JobError, match="do not hold the weights"):
        check_blocks(source, path, read_header(source), read_header(path), weighted=True)
