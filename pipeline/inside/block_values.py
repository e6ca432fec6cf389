"""Do the blocks of a quantized file stand for the weights of its source? Read back by llama.cpp's own code.

A damaged block hardly moves the logits of a whole model, and activations rounded to 8 bits swallow even a scale that is
no number: only the weights themselves show it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from llama_cpp._ggml import libggml
from numpy.typing import NDArray

from .gguf_header import BLOCK_LENGTHS, TYPE_NUMBERS, Header, Tensor
from .job import JobError

LARGEST_ERROR: Final = 0.9
"""Of a block's largest weight. An empty block has 1; two bits in place of 16 leave under 0.5 (measured, Q2_K)."""
NOTHING: Final = 1e-3
"""Of the largest weight nearby: an error under this may be a dead neuron that a scale of 16 bits rounds away."""
_CHUNK: Final = 2**22
_SOURCES: Final = {"F16": np.float16, "F32": np.float32}

Floats = NDArray[np.float32]


class _Traits(ctypes.Structure):
    """The start of ggml's `struct ggml_type_traits`."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("block", ctypes.c_int64),
        ("interleaved", ctypes.c_int64),
        ("bytes", ctypes.c_size_t),
        ("is_quantized", ctypes.c_bool),
        ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)),
    )


def check_blocks(source: Path, output: Path, before: Header, after: Header) -> None:
    """Raise `JobError` when a block's weights are not finite, or further from the source's than any rounding."""
    was = {tensor.name: tensor for tensor in before.tensors}
    files = [np.memmap(path, np.uint8, mode="r") for path in (source, output)]
    places = [header.data_start for header in (before, after)]
    damaged = [
        f"{tensor.name}, block {block}"
        for tensor in after.tensors
        if tensor.type != was[tensor.name].type and was[tensor.name].type in _SOURCES
        for block in _damaged(_data(files[0], places[0], was[tensor.name]), _data(files[1], places[1], tensor), tensor)
    ]
    if damaged:
        raise JobError(
            f"{len(damaged)} blocks of the quantized file do not hold the weights of its source",
            where=", ".join(damaged[:5]),
            advice="run the stage again, and test the machine's memory and disk; a fault of llama.cpp if it stays",
        )


def _data(content: NDArray[np.uint8], start: int, tensor: Tensor) -> NDArray[np.uint8]:
    return content[start + tensor.offset : start + tensor.offset + tensor.bytes]


def _damaged(source: NDArray[np.uint8], stored: NDArray[np.uint8], tensor: Tensor) -> Iterator[int]:
    """Yield the numbers of a tensor's damaged blocks."""
    traits = _traits(tensor.type)
    length = BLOCK_LENGTHS[tensor.type]
    width = len(source) // tensor.elements
    for start in range(0, tensor.elements, _CHUNK):
        count = min(_CHUNK, tensor.elements - start)
        kind = np.float16 if width == np.dtype(np.float16).itemsize else np.float32
        weights: Floats = np.frombuffer(source[start * width : (start + count) * width], kind).astype(np.float32)
        read: Floats = np.empty(count, np.float32)
        part = np.ascontiguousarray(stored[start // length * traits.bytes : (start + count) // length * traits.bytes])
        traits.to_float(part.ctypes.data, read.ctypes.data, count)
        error = np.abs(weights - read).reshape(-1, length).max(axis=1)
        largest = np.abs(weights).reshape(-1, length).max(axis=1)
        wrong = (error > LARGEST_ERROR * largest) & (error > NOTHING * largest.max())
        yield from (start // length + np.flatnonzero(~np.isfinite(error) | wrong)).tolist()


def _traits(kind: str) -> Any:
    """Return what ggml knows of a type."""
    find = libggml.ggml_get_type_traits
    find.restype, find.argtypes = ctypes.POINTER(_Traits), (ctypes.c_int,)
    return find(TYPE_NUMBERS[kind]).contents
