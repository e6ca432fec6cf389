"""Tensor files of three formats as one kind of table: what is said of the tensors, and where their numbers lie.

GGUF, safetensors, and NumPy arrays (also with named fields). Nothing is unpickled, and nothing is read that is not
asked for.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from .ggml_traits import Floats, block_bytes, to_floats
from .gguf_header import BLOCK_LENGTHS, read_header
from .job import JobError

CHUNK: Final = 2**22
"""Numbers that are read at once; a multiple of every block length."""
MAX_HEADER_BYTES: Final = 100_000_000
"""The limit that the safetensors library itself sets for its header."""
_MAX_DIMENSIONS: Final = 64
"""The most that an array of NumPy has."""
_MAX_LENGTH: Final = 2**63

_PLAIN: Final = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1"} | {
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "<u1",
    "BOOL": "<u1",
}
"""Types that NumPy has, by their names in safetensors."""

Bytes = NDArray[np.uint8]
Layout = Literal["numbers", "plain", "bfloat16", "blocks"]


@dataclass(frozen=True)
class Stored:
    """One tensor: type, shape, and its content in row-major order, which is written as `layout` says.

    `numbers`: an array of them; the others are bytes: `plain` (one number of `type` after the other), `bfloat16`,
    `blocks` (of ggml).
    """

    type: str
    shape: tuple[int, ...]
    content: NDArray[Any]
    layout: Layout

    @property
    def count(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    def chunks(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield (index of the first number, numbers) in pieces of `CHUNK`."""
        for start in range(0, self.count, CHUNK):
            yield start, self._numbers(start, min(CHUNK, self.count - start))

    def _numbers(self, start: int, count: int) -> NDArray[Any]:
        if self.layout == "numbers":
            return self.content[start : start + count]
        if self.layout == "blocks":
            length, stride = BLOCK_LENGTHS[self.type], block_bytes(self.type)
            return to_floats(self.type, self.content[start // length * stride :][: count // length * stride], count)
        if self.layout == "bfloat16":
            return _from_bfloat16(self.content[2 * start : 2 * (start + count)])
        kind = np.dtype(_PLAIN[self.type])
        return np.frombuffer(self.content[start * kind.itemsize : (start + count) * kind.itemsize].tobytes(), kind)


@dataclass(frozen=True)
class Table:
    """What a file says (`metadata`, plain JSON values) and the tensors it holds, in the file's order."""

    metadata: Mapping[str, Any]
    tensors: Mapping[str, Stored]


def read_table(path: Path) -> Table:
    """Read a file by its suffix. Raises `JobError` when it is not whole or not of that format."""
    readers = {".gguf": _read_gguf, ".safetensors": _read_safetensors, ".npy": _read_numpy}
    return readers[path.suffix](path)


def _read_gguf(path: Path) -> Table:
    header = read_header(path)
    content = np.memmap(path, np.uint8, mode="r")
    tensors = {
        one.name: Stored(
            one.type,
            one.shape[::-1],
            content[header.data_start + one.offset :][: one.bytes],
            _layout(one.type, otherwise="blocks"),
        )
        for one in header.tensors
    }
    return Table({name: _plain(value) for name, value in header.keys.items()}, tensors)


def _read_safetensors(path: Path) -> Table:
    try:
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > MAX_HEADER_BYTES:
                raise ValueError(f"a header of {length} bytes")
            entries = json.loads(stream.read(length))
        metadata = entries.pop("__metadata__", {})
        content = np.memmap(path, np.uint8, mode="r")[8 + length :]
        tensors = {name: _safetensor(name, one, content) for name, one in entries.items()}
        return Table(dict(metadata), tensors)
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path, f"its header cannot be read ({error})") from error


def _safetensor(name: str, entry: Mapping[str, Any], content: Bytes) -> Stored:
    start, end = entry["data_offsets"]
    if not 0 <= start <= end <= len(content):
        raise ValueError(f"{name} ends at byte {end} of {len(content)}")
    kind, shape = str(entry["dtype"]), tuple(entry["shape"])
    if len(shape) > _MAX_DIMENSIONS or any(type(one) is not int or not 0 <= one < _MAX_LENGTH for one in shape):
        raise ValueError(f"{name!r} has a shape that no tensor can have")
    size = {"BF16": 2}.get(kind) or (np.dtype(_PLAIN[kind]).itemsize if kind in _PLAIN else 0)
    if size and math.prod(shape) * size != end - start:
        raise ValueError(f"{name} has {end - start} bytes, its shape needs {math.prod(shape) * size}")
    if not size:  # a type of fewer bits, such as F8_E4M3: compared as it is stored
        return Stored(kind, (end - start,), content[start:end], "numbers")
    return Stored(kind, shape, content[start:end], _layout(kind, otherwise="numbers"))


def _layout(kind: str, *, otherwise: Layout) -> Layout:
    return "bfloat16" if kind == "BF16" else "plain" if kind in _PLAIN else otherwise


def _read_numpy(path: Path) -> Table:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(found, np.ndarray):  # a ZIP of arrays has another suffix
            raise ValueError("it holds no single array")  # noqa: TRY004 - told as what else is wrong with a file
    except Exception as error:  # NumPy's readers of headers and ZIPs raise whatever their parsers do
        raise _damaged(path, f"it cannot be read ({error})"[:500]) from error
    fields = found.dtype.fields or {}
    columns = {name: found[name] for name in fields} if fields else {"": found}
    return Table({"shape": list(found.shape)}, {name: _column(column) for name, column in columns.items()})


def _column(column: NDArray[Any]) -> Stored:
    content = np.ascontiguousarray(column).reshape(-1)
    if column.dtype.kind not in "biuf":  # text and the like: compared as it is stored
        content = content.view(np.uint8)
        return Stored(str(column.dtype), content.shape, content, "numbers")
    return Stored(str(column.dtype), column.shape, content, "numbers")


def _from_bfloat16(stored: Bytes) -> Floats:
    """Return bfloat16 as float32: its bits are the upper half of a float32's."""
    halves = np.frombuffer(stored.tobytes(), "<u2").astype(np.uint32)
    return (halves << 16).view(np.float32)


def _plain(value: Any) -> Any:
    """Return a value that JSON has: numbers that are not finite become their names."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _damaged(path: Path, why: str) -> JobError:
    return JobError(f"{path.name} is no whole file: {why}", where=path.name, advice="make or fetch the file again")
