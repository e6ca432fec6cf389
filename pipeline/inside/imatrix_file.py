"""llama.cpp's importance matrix as a file: GGUF, as `llama-imatrix` writes it and `llama-quantize` reads it.

Source: tools/imatrix/imatrix.cpp (`save_imatrix`), common/imatrix-loader.cpp, tools/quantize/quantize.cpp
(`load_imatrix`). Two tensors for each matrix of the model, `<name>.in_sum2` and `<name>.counts`, both float32.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .gguf_header import MAGIC, Header, Tensor, read_header
from .job import JobError

Floats = NDArray[np.float32]

SUMS, COUNTS = ".in_sum2", ".counts"
_ALIGNMENT = 32
_VERSION = 3
_F32: Final = 0
_UINT32, _STRING, _ARRAY = 4, 8, 9  # ggml/include/gguf.h, enum gguf_type


@dataclass(frozen=True)
class Entry:
    """What one matrix of the model met: for each of its inputs the sum of squares, over so many tokens.

    `sums` has the shape [matrices, inputs]. A tensor of experts has several matrices, and as many `counts`.
    """

    sums: Floats
    counts: NDArray[np.int64]

    @property
    def importance(self) -> Floats:
        """The mean of the squares, [matrices, inputs]; 1 for an expert that met no token, as llama.cpp takes it."""
        counts = self.counts.astype(np.float32)[:, None]
        mean: Floats = np.divide(self.sums, counts, out=np.ones_like(self.sums), where=counts > 0)
        return mean


@dataclass(frozen=True)
class Importance:
    """An importance matrix: tensor name → entry; from which data set, of how many chunks of how many tokens."""

    entries: Mapping[str, Entry]
    dataset: str
    chunks: int
    chunk_tokens: int


def write_imatrix(path: Path, importance: Importance) -> None:
    """Write the file, entries by name: the very bytes that `llama-imatrix` writes."""
    keys = (
        ("general.type", struct.pack("<I", _STRING) + _text("imatrix")),
        ("imatrix.datasets", struct.pack("<IIQ", _ARRAY, _STRING, 1) + _text(importance.dataset)),
        ("imatrix.chunk_count", struct.pack("<II", _UINT32, importance.chunks)),
        ("imatrix.chunk_size", struct.pack("<II", _UINT32, importance.chunk_tokens)),
    )
    tensors: list[tuple[str, Floats]] = []
    for name, entry in sorted(importance.entries.items(), key=lambda item: item[0].encode()):
        tensors.append((f"{name}{SUMS}", entry.sums.reshape(len(entry.counts), -1)))
        tensors.append((f"{name}{COUNTS}", entry.counts.astype(np.float32)[:, None]))
    written = MAGIC + struct.pack("<IQQ", _VERSION, len(tensors), len(keys))
    written += b"".join(_text(name) + value for name, value in keys)
    offset = 0
    for name, values in tensors:
        shape = values.shape[1:] if len(values) == 1 else values.shape[::-1]  # a last dimension of 1 is not written
        written += _text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, _F32, offset)
        offset += _padded(values.nbytes)
    with path.open("wb") as stream:
        stream.write(written.ljust(_padded(len(written)), b"\0"))
        for _, values in tensors:
            stream.write(values.astype("<f4").tobytes().ljust(_padded(values.nbytes), b"\0"))


def read_imatrix(path: Path) -> Importance:
    """Read a file that llama.cpp or `write_imatrix` wrote. Raises `JobError` when it is no importance matrix."""
    header = read_header(path)
    keys, listed = header.keys, {tensor.name: tensor for tensor in header.tensors}
    names = [name.removesuffix(SUMS) for name in listed if name.endswith(SUMS)]
    chunks, chunk_tokens = (keys.get(f"imatrix.{name}") for name in ("chunk_count", "chunk_size"))
    datasets = keys.get("imatrix.datasets")
    if not (isinstance(datasets, list) and datasets and isinstance(chunks, int) and isinstance(chunk_tokens, int)):
        raise _damaged(path, "its keys imatrix.* are not there")
    if not names or any(f"{name}{COUNTS}" not in listed for name in names):
        raise _damaged(path, "it holds no sums, or sums without counts")
    content = np.memmap(path, np.uint8, mode="r")
    entries = {}
    for name in names:
        sums, counts = (_values(path, content, header, listed[name + suffix]) for suffix in (SUMS, COUNTS))
        if not counts.size or sums.size % counts.size:
            raise _damaged(path, f"{name} has {sums.size} sums and {counts.size} counts")
        entries[name] = Entry(sums.reshape(counts.size, -1), np.rint(counts).astype(np.int64))
    return Importance(entries, str(datasets[0]), chunks, chunk_tokens)


def _values(path: Path, content: NDArray[np.uint8], header: Header, tensor: Tensor) -> Floats:
    if tensor.type != "F32":
        raise _damaged(path, f"{tensor.name} is {tensor.type}, not F32")
    start = header.data_start + tensor.offset
    values: Any = content[start : start + tensor.bytes].copy().view("<f4")
    found: Floats = values.astype(np.float32)
    return found


def _damaged(path: Path, why: str) -> JobError:
    return JobError(
        f"{path.name} is no importance matrix: {why}", where=path.name, advice="run the stage imatrix again"
    )


def _padded(count: int) -> int:
    return -(-count // _ALIGNMENT) * _ALIGNMENT


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()
