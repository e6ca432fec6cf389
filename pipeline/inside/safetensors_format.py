"""The header of a safetensors file, read and written without the library: it holds all tensors of a file, or maps it.

The format (huggingface/safetensors, README): eight bytes of length (little endian), a JSON header, then the numbers.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .job import JobError

MAX_HEADER_BYTES = 100_000_000
"""The limit that the safetensors library itself sets."""

TYPES = {
    torch.float64: "F64",
    torch.int64: "I64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""Names of types, in the order in which the library writes them."""

MAX_DIMENSIONS = 64
"""More than PyTorch computes with; a product of millions of lengths would take hours."""

MAX_NUMBERS = 2**60
"""Numbers of a tensor, an empty one's other lengths counted too, so that PyTorch's 64 bits hold sizes and strides."""

ADVICE = "Fetch the base model again."

_LENGTH_BYTES = 8
_ALIGNED = 8

Stored = Mapping[str, tuple[torch.dtype, tuple[int, ...]]]
"""Type and shape of tensors, by name."""


@dataclass(frozen=True)
class Entry:
    """What a header says of one tensor: its type's name, its shape, and the first of its bytes in the file."""

    kind: str
    shape: tuple[int, ...]
    begin: int

    def read_rows(self, path: Path, first: int, last: int) -> torch.Tensor:
        """Read rows from `first` on and before `last`, which may lie behind the end: no other byte of the file.

        Raises `JobError` for a type that no model of ours has, for a single number, which has no rows, and for a file
        that ends before them.
        """
        dtype = next((one for one, name in TYPES.items() if name == self.kind), None)
        if dtype is None:
            raise JobError(f"Rows of a tensor of the type {self.kind} are not read.", where=path.name, advice=ADVICE)
        if not self.shape:
            raise JobError("A tensor that is a single number has no rows.", where=path.name, advice=ADVICE)
        rows = range(*slice(first, last).indices(self.shape[0]))
        size = math.prod(self.shape[1:]) * dtype.itemsize
        if self.begin + rows.stop * size > path.stat().st_size:  # before there is memory for what a header claims
            raise JobError("A safetensors file is shorter than its header says.", where=path.name, advice=ADVICE)
        data = bytearray(len(rows) * size)
        with path.open("rb") as stream:
            stream.seek(self.begin + rows.start * size)
            stream.readinto(data)
        flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
        return flat.reshape(len(rows), *self.shape[1:])


def read_header(path: Path) -> dict[str, Entry]:
    """Return what a file says of its tensors, by name. Raises `JobError` when its header is damaged."""
    try:
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(_LENGTH_BYTES))
            if length > MAX_HEADER_BYTES:
                raise ValueError(f"a header of {length} bytes")
            entries = json.loads(stream.read(length))
        told = {name: one for name, one in entries.items() if name != "__metadata__"}
        return {name: _entry(name, one, _LENGTH_BYTES + length) for name, one in told.items()}
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise JobError(f"A safetensors header cannot be read: {error}", where=path.name, advice=ADVICE) from error


def _entry(name: str, entry: dict[str, Any], data: int) -> Entry:
    """Return one entry; `data` is where the numbers begin. Raises ValueError when it is none."""
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    lists = isinstance(shape, list) and isinstance(offsets, list)
    if not isinstance(kind, str) or not lists or not all(map(_is_size, [*shape, *offsets])):
        raise ValueError(f"{name!r} has no type, no shape, or no place")
    if len(shape) > MAX_DIMENSIONS or math.prod(max(1, length) for length in shape) > MAX_NUMBERS:
        raise ValueError(f"{name!r} has a shape that no tensor can have")
    if len(offsets) != 2 or offsets[0] > offsets[1]:  # noqa: PLR2004 - where it begins and ends
        raise ValueError(f"{name!r} has a place that no tensor can have")
    return Entry(kind, tuple(shape), data + offsets[0])


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63  # what fits the signed 64 bits of a file's positions


def header(stored: Stored) -> bytes:
    """Return length and header of a file with these tensors in this order.

    It is filled up with spaces, as the library does it, so that the numbers begin on a multiple of 8 bytes.
    """
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape) in stored.items():
        start, end = end, end + torch.Size(shape).numel() * dtype.itemsize
        entries[name] = {"dtype": TYPES[dtype], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNED)
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text
