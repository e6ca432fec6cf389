"""Reading the header of GGUF files, whole and damaged."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.inside.gguf_header import read_header
from pipeline.inside.job import JobError
from tests.support.gguf_file import write_small


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A file with three keys and a tensor of five numbers."""
    keys: dict[str, str | int | list[str]] = {"general.name": "題名", "x.context_length": 1024, "tokens": ["a", "」"]}
    return write_small(tmp_path / "small.gguf", keys, [1.0, 2.0, 3.0, 4.0, 5.0])


def test_keys_and_tensors_are_read(small: Path) -> None:
    """Texts, numbers and lists, and the tensor with its place and size."""
    header = read_header(small)
    assert header.keys == {"general.name": "題名", "x.context_length": 1024, "tokens": ["a", "」"]}
    (tensor,) = header.tensors
    assert (tensor.name, tensor.type, tensor.shape, tensor.bytes, tensor.elements) == ("weight", "F32", (5,), 20, 5)
    assert header.size == header.data_start + 20


def test_a_file_of_zeros_is_refused(small: Path) -> None:
    """That is what a quantizer killed half-way leaves: the size is right, the beginning is not."""
    small.write_bytes(b"\0" * small.stat().st_size)
    with pytest.raises(JobError, match="no whole GGUF file"):
        read_header(small)


@pytest.mark.parametrize("kept", [0, 3, 10, 40, -1])
def test_a_file_that_is_cut_off_is_refused(kept: int, small: Path) -> None:
    """In the header, in the tensor list, or one byte before the end."""
    small.write_bytes(small.read_bytes()[:kept])
    with pytest.raises(JobError, match="no whole GGUF file"):
        read_header(small)


@given(place=st.integers(4, 150), value=st.integers(0, 255))
def test_a_damaged_byte_never_ends_in_anything_but_a_job_error(
    place: int, value: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Lengths, counts and kinds that make no sense are refused, not followed."""
    keys: dict[str, str | int | list[str]] = {"general.name": "n", "tokens": ["a", "b"]}
    path = write_small(tmp_path_factory.mktemp("damaged") / "one.gguf", keys, [1.0] * 5)
    content = bytearray(path.read_bytes())
    content[place % len(content)] = value
    path.write_bytes(content)
    try:
        read_header(path)
    except JobError as error:
        assert error.where == "one.gguf"  # noqa: PT017 - most damages are noticed, some change only a text


def test_another_version_is_refused(small: Path) -> None:
    """A version of the format that is not known could mean anything."""
    content = bytearray(small.read_bytes())
    content[4:8] = struct.pack("<I", 9)
    small.write_bytes(content)
    with pytest.raises(JobError, match="version 9"):
        read_header(small)


def test_a_real_file_is_read_as_its_writer_meant_it(vendor_tree: Path) -> None:
    """llama.cpp's own vocabulary file of Qwen: 151,936 tokens and no tensors."""
    header = read_header(vendor_tree / "models" / "ggml-vocab-qwen2.gguf")
    assert len(header.keys["tokenizer.ggml.tokens"]) == 151_936
    assert header.keys["tokenizer.ggml.pre"] == "qwen2"
    assert header.tensors == ()
