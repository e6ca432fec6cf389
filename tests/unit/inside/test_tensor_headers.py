"""Shapes are read from headers alone, and a damaged header names its file."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from pipeline.inside import tensor_headers
from pipeline.inside.job import JobError
from tests.support.qwen import write_header


def test_shapes_come_from_every_shard(tmp_path: Path) -> None:
    """Only headers are read: the data of these files is a hole."""
    write_header(tmp_path / "model-00001-of-00002.safetensors", {"model.embed_tokens.weight": [32000, 8]})
    write_header(tmp_path / "model-00002-of-00002.safetensors", {"lm_head.weight": [32004, 8]})
    shapes = tensor_headers.tensor_shapes(tmp_path)
    assert (tensor_headers.embedding_rows(shapes), tensor_headers.output_rows(shapes)) == (32000, 32004)


def test_tied_or_unknown_layers_have_no_rows(tmp_path: Path) -> None:
    """What is not there is None, never zero."""
    write_header(tmp_path / "model.safetensors", {"model.norm": [4, 4]})
    shapes = tensor_headers.tensor_shapes(tmp_path)
    assert tensor_headers.embedding_rows(shapes) is None
    assert tensor_headers.output_rows(shapes) is None


@pytest.mark.parametrize("content", [b"", b"\x01", struct.pack("<Q", 1 << 60), struct.pack("<Q", 4) + b"{no}"])
def test_a_damaged_header_names_its_file(tmp_path: Path, content: bytes) -> None:
    """Cut short, absurdly long, or no JSON."""
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(JobError, match="header cannot be read") as caught:
        tensor_headers.tensor_shapes(tmp_path)
    assert caught.value.where == "model.safetensors"


def test_a_base_without_safetensors_is_refused(tmp_path: Path) -> None:
    """A pickle is never read."""
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(JobError, match="no safetensors") as caught:
        tensor_headers.tensor_shapes(tmp_path)
    assert caught.value.where == "pytorch_model.bin"
