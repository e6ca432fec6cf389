"""Do the blocks of a quantized file stand for the weights of its source? Read back by llama.cpp's own code.

A damaged block hardly moves the logits of a whole model, and activations rounded to 8 bits swallow even a scale that is
no number: only the weights themselves show it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .ggml_traits import Floats, block_bytes, put_floats
from .gguf_header import BLOCK_LENGTHS, Header, Tensor, read_header, refuse_other_tensors

LARGEST_ERROR: Final = 0.9
"""Of a block's largest weight. An empty block has 1; two bits in place of 16 leave under 0.5 (measured, Q2_K)."""
LARGEST_WEIGHTED_ERROR: Final = 3.0
"""The same, where weights are rounded by their importance: a large one that meets nothing may come out as 0 or doubled.
Measured on heavy-tailed weights and importances: up to 2.0 (IQ3_XXS), Q4_K up to 0.78. An empty block is told apart."""
NOTHING: Final = 1e-3
"""Of the largest weight nearby: an error under this may be a dead neuron that a scale of 16 bits rounds away."""
EXAMPLES: Final = 24
_PART: Final = 2**22
"""Weights that a thread takes at once, and that are "nearby"."""
_CHUNK: Final = 2**18
"""Weights that are read at once: they and their copies stay in a processor's cache."""
_SOURCES: Final = ("F16", "F32")


def compare_blocks(source: Path, quantized: Path, *, weighted: bool, threads: int) -> dict[str, Any]:
    """Compare every block of each tensor whose type is another than in the source with the weights that it stands for.

    `weighted` says that they were rounded by an importance matrix. Returns what `blocks.json` holds: by type the number
    of blocks and the largest error of a sound one, as a share of its largest weight; how many blocks are damaged (their
    weights are not finite, or further from the source's than any rounding), and the first `EXAMPLES` of them. The same
    for any number of threads. Raises `JobError` when the files do not hold the same tensors.
    """
    before, after = (read_header(path, texts=False) for path in (source, quantized))
    refuse_other_tensors(before, after, quantized.name)
    was = {tensor.name: tensor for tensor in before.tensors}
    files = [np.memmap(path, np.uint8, mode="r") for path in (source, quantized)]
    pairs = [
        _Pair(_data(files[0], before, was[tensor.name]), _data(files[1], after, tensor), was[tensor.name].type, tensor)
        for tensor in after.tensors
        if tensor.type != was[tensor.name].type and was[tensor.name].type in _SOURCES
    ]
    parts = [(pair, first) for pair in pairs for first in range(0, pair.tensor.elements, _PART)]
    limit = LARGEST_WEIGHTED_ERROR if weighted else LARGEST_ERROR
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(lambda part: _compare(part[0], part[1], limit), parts))
    blocks: dict[str, int] = defaultdict(int)
    worst: dict[str, float] = defaultdict(float)
    for (pair, _), result in zip(parts, found, strict=True):
        blocks[pair.tensor.type] += result.blocks
        worst[pair.tensor.type] = max(worst[pair.tensor.type], result.largest_error)
    damaged = [place for result in found for place in result.damaged]
    return {
        "types": {
            kind: {"blocks": blocks[kind], "largest_error": round(worst[kind], 4)}  # of float32, the same everywhere
            for kind in sorted(blocks)
        },
        "blocks": sum(blocks.values()),
        "damaged": len(damaged),
        "examples": damaged[:EXAMPLES],
    }


@dataclass(frozen=True)
class _Pair:
    """A tensor's bytes in both files; `kind` is its type in the source."""

    source: NDArray[np.uint8]
    stored: NDArray[np.uint8]
    kind: str
    tensor: Tensor


@dataclass(frozen=True)
class _Found:
    """What was seen of one part: blocks, the largest error of a sound one (a share of its largest weight), damage."""

    blocks: int
    largest_error: float
    damaged: list[str]


def _data(content: NDArray[np.uint8], header: Header, tensor: Tensor) -> NDArray[np.uint8]:
    start = header.data_start + tensor.offset
    return content[start : start + tensor.bytes]


def _compare(pair: _Pair, first: int, limit: float) -> _Found:
    """Compare the blocks of the `_PART` weights from `first` on."""
    error, largest, empty = (np.concatenate(one) for one in zip(*_chunks(pair, first), strict=True))
    noticed = ~(error <= NOTHING * largest.max(initial=0))  # not `>`: an error that is no number is no small one
    damaged = noticed & (~(error <= limit * largest) | empty)
    sound = noticed & ~damaged
    shares = error[sound] / largest[sound]
    start = first // BLOCK_LENGTHS[pair.tensor.type]
    places = [f"{pair.tensor.name}, block {start + block}" for block in np.flatnonzero(damaged)]
    return _Found(len(error), float(shares.max(initial=0)), places)


def _chunks(pair: _Pair, first: int) -> Iterator[tuple[Floats, Floats, NDArray[np.bool_]]]:
    """Yield (largest error, largest weight, whether nothing is stored) of each block, by chunks.

    Both buffers are written over: memory that is touched for the first time costs more than the arithmetic.
    """
    kind, elements = pair.tensor.type, pair.tensor.elements
    length, stride, width = BLOCK_LENGTHS[kind], block_bytes(kind), len(pair.source) // elements
    end = min(first + _PART, elements)
    buffers: list[Floats] = [np.empty(min(_CHUNK, end - first), np.float32) for _ in range(2)]
    for start in range(first, end, _CHUNK):
        count = min(_CHUNK, end - start)
        weights, read = (buffer[:count].reshape(-1, length) for buffer in buffers)
        put_floats(pair.kind, pair.source[start * width : (start + count) * width], weights)
        put_floats(kind, pair.stored[start // length * stride : (start + count) // length * stride], read)
        error = np.abs(np.subtract(weights, read, out=read), out=read).max(axis=1)
        largest = np.abs(weights, out=weights).max(axis=1)
        empty = (error == largest) & (largest > 0)
        rows = np.flatnonzero(empty)  # where nothing is stored, every weight is its own error
        empty[rows] = (read[rows] == weights[rows]).all(axis=1)
        yield error, largest, empty
