"""Read what stands before the tensor data of a GGUF file: its keys and its list of tensors.

Standard library only, so that what llama.cpp wrote is read by code that is not llama.cpp. The
format: ggml/docs/gguf.md (little endian, version 3).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from .job import JobError

MAGIC = b"GGUF"
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_DEFAULT_ALIGNMENT = 32
_MAX_DIMENSIONS = 4  # ggml.h, GGML_MAX_DIMS

# ggml type: (name, elements per block, bytes per block); ggml/src/ggml.c, `type_traits`.
_TYPES = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
}

TYPE_NUMBERS = {name: number for number, (name, _, _) in _TYPES.items()}
"""ggml's number of a type."""

BLOCK_LENGTHS = {name: length for name, length, _ in _TYPES.values()}
"""How many numbers of a row make one block of a type; 1 for plain numbers."""


@dataclass(frozen=True)
class Tensor:
    """One tensor: `shape` in ggml's order (row length first), `bytes` of its data, `offset` in the data section."""

    name: str
    type: str
    shape: tuple[int, ...]
    offset: int
    bytes: int

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        count = 1
        for length in self.shape:
            count *= length
        return count


@dataclass(frozen=True)
class Header:
    """Keys and tensors of one file; `data_start` and `size` in bytes."""

    keys: dict[str, Any]
    tensors: tuple[Tensor, ...]
    data_start: int
    size: int


def read_header(path: Path) -> Header:
    """Read a file's header. Raises `JobError` when it is no whole GGUF file, tensor data included."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        try:
            header = _read(stream, size)
        except (struct.error, ValueError, KeyError, MemoryError, OverflowError, RecursionError) as error:
            raise _damaged(path, f"its header cannot be read ({type(error).__name__}: {error})") from error
    end = max((header.data_start + tensor.offset + tensor.bytes for tensor in header.tensors), default=0)
    if end > size:
        raise _damaged(path, f"its tensors end at byte {end}, the file at byte {size}")
    return header


def _damaged(path: Path, why: str) -> JobError:
    """Return the error for a file that is not whole."""
    return JobError(
        f"{path.name} is no whole GGUF file: {why}",
        where=path.name,
        advice="the file was cut off or altered: run the stage that made it again",
    )


def _read(stream: BinaryIO, size: int) -> Header:
    """Read magic, version, counts, keys, tensors."""
    magic = stream.read(4)
    if magic != MAGIC:
        raise KeyError(f"it starts with {magic!r}")
    version, tensors, keys = struct.unpack("<IQQ", stream.read(20))
    if version not in (2, 3):
        raise KeyError(f"version {version}")
    found = dict(_key(stream, size) for _ in range(keys))
    listed = tuple(_tensor(stream, size) for _ in range(tensors))
    alignment = found.get("general.alignment", _DEFAULT_ALIGNMENT)
    if type(alignment) is not int or alignment < 1:
        raise ValueError(f"an alignment of {alignment!r}"[:80])
    return Header(found, listed, -(-stream.tell() // alignment) * alignment, size)


def _number(stream: BinaryIO, form: str) -> Any:
    """Read one number."""
    return struct.unpack(form, stream.read(struct.calcsize(form)))[0]


def _text(stream: BinaryIO, size: int) -> str:
    """Read one string: its length in bytes, then UTF-8."""
    length = _number(stream, "<Q")
    if length > size:
        raise OverflowError(f"a string of {length} bytes")
    return stream.read(length).decode("utf-8")


def _key(stream: BinaryIO, size: int) -> tuple[str, Any]:
    """Read one key and its value."""
    name = _text(stream, size)
    return name, _value(stream, _number(stream, "<I"), size)


def _value(stream: BinaryIO, kind: int, size: int) -> Any:
    """Read one value of a known kind."""
    if kind == _STRING:
        return _text(stream, size)
    if kind != _ARRAY:
        return _number(stream, _SCALARS[kind])
    element, count = struct.unpack("<IQ", stream.read(12))
    if count > size:
        raise OverflowError(f"an array of {count} elements")
    if element in _SCALARS:
        form = f"<{count}{_SCALARS[element][1]}"
        return list(struct.unpack(form, stream.read(struct.calcsize(form))))
    return [_value(stream, element, size) for _ in range(count)]


def _tensor(stream: BinaryIO, size: int) -> Tensor:
    """Read one entry of the tensor list."""
    name = _text(stream, size)
    dimensions = _number(stream, "<I")
    if dimensions > _MAX_DIMENSIONS:
        raise OverflowError(f"a tensor of {dimensions} dimensions")
    shape = struct.unpack(f"<{dimensions}Q", stream.read(8 * dimensions))
    kind, offset = struct.unpack("<IQ", stream.read(12))
    label, block, block_bytes = _TYPES[kind]
    elements = 1
    for length in shape:
        elements *= length
    return Tensor(name, label, tuple(shape), offset, elements // block * block_bytes)
