"""Do the blocks of a quantized file stand for the weights of its source? Read back by llama.cpp's own code.

A damaged block hardly moves the logits of a whole model, and activations rounded to 8 bits swallow even a scale that is
no number: only the weights themselves show it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .ggml_traits import Floats, block_bytes, to_floats
from .gguf_header import BLOCK_LENGTHS, Header, Tensor
from .job import JobError

LARGEST_ERROR: Final = 0.9
"""Of a block's largest weight. An empty block has 1; two bits in place of 16 leave under 0.5 (measured, Q2_K)."""
LARGEST_WEIGHTED_ERROR: Final = 3.0
"""The same, where weights are rounded by their importance: a large one that meets nothing may come out as 0 or doubled.
Measured on heavy-tailed weights and importances: up to 2.0 (IQ3_XXS), Q4_K up to 0.78. An empty block is told apart."""
NOTHING: Final = 1e-3
"""Of the largest weight nearby: an error under this may be a dead neuron that a scale of 16 bits rounds away."""
_CHUNK: Final = 2**22
_SOURCES: Final = {"F16": np.float16, "F32": np.float32}


def check_blocks(source: Path, output: Path, before: Header, after: Header, *, weighted: bool = False) -> None:
    """Raise `JobError` when a block's weights are not finite, or further from the source's than any rounding.

    `weighted` says that they were rounded by an importance matrix.
    """
    was = {tensor.name: tensor for tensor in before.tensors}
    files = [np.memmap(path, np.uint8, mode="r") for path in (source, output)]
    places = [header.data_start for header in (before, after)]
    damaged = [
        f"{tensor.name}, block {block}"
        for tensor in after.tensors
        if tensor.type != was[tensor.name].type and was[tensor.name].type in _SOURCES
        for block in _damaged(
            _data(files[0], places[0], was[tensor.name]), _data(files[1], places[1], tensor), tensor, weighted=weighted
        )
    ]
    if damaged:
        raise JobError(
            f"{len(damaged)} blocks of the quantized file do not hold the weights of its source",
            where=", ".join(damaged[:5]),
            advice="run the stage again, and test the machine's memory and disk; a fault of llama.cpp if it stays",
        )


def _data(content: NDArray[np.uint8], start: int, tensor: Tensor) -> NDArray[np.uint8]:
    return content[start + tensor.offset : start + tensor.offset + tensor.bytes]


def _damaged(source: NDArray[np.uint8], stored: NDArray[np.uint8], tensor: Tensor, *, weighted: bool) -> Iterator[int]:
    """Yield the numbers of a tensor's damaged blocks."""
    length, stride = BLOCK_LENGTHS[tensor.type], block_bytes(tensor.type)
    width = len(source) // tensor.elements
    for start in range(0, tensor.elements, _CHUNK):
        count = min(_CHUNK, tensor.elements - start)
        kind = np.float16 if width == np.dtype(np.float16).itemsize else np.float32
        weights: Floats = np.frombuffer(source[start * width : (start + count) * width], kind).astype(np.float32)
        read = to_floats(tensor.type, stored[start // length * stride : (start + count) // length * stride], count)
        error = np.abs(weights - read).reshape(-1, length).max(axis=1)
        largest = np.abs(weights).reshape(-1, length).max(axis=1)
        far = error > (LARGEST_WEIGHTED_ERROR if weighted else LARGEST_ERROR) * largest
        empty = ~read.reshape(-1, length).any(axis=1)
        wrong = (far | empty) & (error > NOTHING * largest.max())
        yield from (start // length + np.flatnonzero(~np.isfinite(error) | wrong)).tolist()
