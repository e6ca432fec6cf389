"""Read what stands before the tensor data of a GGUF file: its keys and its list of tensors.

Standard library only, so that what llama.cpp wrote is read by code that is not llama.cpp. The
format: ggml/docs/gguf.md (little endian, version 3).
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
        return math.prod(self.shape)


@dataclass(frozen=True)
class Header:
    """Keys and tensors of one file; `data_start` and `size` in bytes."""

    keys: dict[str, Any]
    tensors: tuple[Tensor, ...]
    data_start: int
    size: int


def read_header(path: Path, *, texts: bool = True) -> Header:
    """Read a file's header. Raises `JobError` when it is no whole GGUF file, tensor data included.

    Without `texts`, lists of texts are passed over and stand as `None` among the keys: a vocabulary of 150,000 tokens
    and as many merges takes a tenth of a second and more.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            header = _read(_Cursor(content, size, texts=texts))
    except (struct.error, ValueError, KeyError, MemoryError, OverflowError, RecursionError) as error:
        raise _damaged(path, f"its header cannot be read ({type(error).__name__}: {error})") from error
    end = max((header.data_start + tensor.offset + tensor.bytes for tensor in header.tensors), default=0)
    if end > size:
        raise _damaged(path, f"its tensors end at byte {end}, the file at byte {size}")
    return header


def refuse_other_tensors(before: Header, after: Header, name: str) -> None:
    """Raise `JobError` when a quantized file, called `name`, has other tensors or shapes than its source."""
    was, now = ({tensor.name: tensor.shape for tensor in header.tensors} for header in (before, after))
    if was != now:
        different = sorted(one for one in was.keys() | now.keys() if was.get(one) != now.get(one))
        raise JobError(
            f"the quantized file does not hold the tensors of its source: {', '.join(different[:8])}",
            where=name,
            advice="run the stage again that quantized it; this is a fault of llama.cpp if it stays",
        )


def _damaged(path: Path, why: str) -> JobError:
    """Return the error for a file that is not whole."""
    return JobError(
        f"{path.name} is no whole GGUF file: {why}",
        where=path.name,
        advice="the file was cut off or altered: run the stage that made it again",
    )


def _read(cursor: _Cursor) -> Header:
    """Read magic, version, counts, keys, tensors."""
    magic = cursor.take(4)
    if magic != MAGIC:
        raise KeyError(f"it starts with {magic!r}")
    version, tensors, keys = cursor.numbers("<IQQ")
    if version not in (2, 3):
        raise KeyError(f"version {version}")
    found = dict(cursor.key() for _ in range(keys))
    listed = tuple(cursor.tensor() for _ in range(tensors))
    alignment = found.get("general.alignment", _DEFAULT_ALIGNMENT)
    if type(alignment) is not int or alignment < 1:
        raise ValueError(f"an alignment of {alignment!r}"[:80])
    return Header(found, listed, -(-cursor.position // alignment) * alignment, cursor.size)


class _Cursor:
    """A place in a file's content, which moves on with what is read. All may raise `struct.error` at the file's end."""

    def __init__(self, content: mmap.mmap, size: int, *, texts: bool) -> None:
        self.position = 0
        self.size = size
        self._content = content
        self._texts = texts

    def take(self, count: int) -> bytes:
        """Read that many bytes."""
        if count > self.size - self.position:
            raise OverflowError(f"{count} bytes at byte {self.position} of {self.size}")
        start = self.position
        self.position += count
        return self._content[start : self.position]

    def numbers(self, form: str) -> tuple[Any, ...]:
        """Read what `struct` understands by a form."""
        found = struct.unpack_from(form, self._content, self.position)
        self.position += struct.calcsize(form)
        return found

    def text(self) -> str:
        """Read one string: its length in bytes, then UTF-8."""
        (length,) = self.numbers("<Q")
        return self.take(length).decode("utf-8")

    def key(self) -> tuple[str, Any]:
        """Read one key and its value."""
        name = self.text()
        return name, self._value(*self.numbers("<I"))

    def tensor(self) -> Tensor:
        """Read one entry of the tensor list."""
        name = self.text()
        (dimensions,) = self.numbers("<I")
        if dimensions > _MAX_DIMENSIONS:
            raise OverflowError(f"a tensor of {dimensions} dimensions")
        shape = self.numbers(f"<{dimensions}Q")
        kind, offset = self.numbers("<IQ")
        label, block, block_bytes = _TYPES[kind]
        return Tensor(name, label, shape, offset, math.prod(shape) // block * block_bytes)

    def _value(self, kind: int) -> Any:
        """Read one value of a known kind."""
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return self.numbers(_SCALARS[kind])[0]
        element, count = self.numbers("<IQ")
        if count > self.size:
            raise OverflowError(f"an array of {count} elements")
        if element in _SCALARS:
            return list(self.numbers(f"<{count}{_SCALARS[element][1]}"))
        if element == _STRING:
            return self._list(count)
        return [self._value(element) for _ in range(count)]

    def _list(self, count: int) -> list[str] | None:
        """Read strings, or pass over them. Hundreds of thousands: no call for each."""
        content, position, unpack = self._content, self.position, struct.Struct("<Q").unpack_from
        found, size, wanted = [], self.size, self._texts
        for _ in range(count):
            start = position + 8
            position = start + unpack(content, position)[0]
            if position > size:
                raise OverflowError(f"a text that ends at byte {position} of {size}")
            if wanted:
                found.append(content[start:position])
        self.position = position
        return [text.decode("utf-8") for text in found] if wanted else None
