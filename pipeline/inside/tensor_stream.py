"""A safetensors file written one tensor at a time, the bytes that the library writes of all at once.

The format (huggingface/safetensors, README): eight bytes of length, a JSON header, then the numbers. The library puts
the widest types first and sorts by name among them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch

PIECE = 2**24
"""Numbers of a tensor that are worked on at a time: 64 MiB of float32."""

_TYPES = {
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

_ALIGNED = 8

Stored = Mapping[str, tuple[torch.dtype, tuple[int, ...]]]
"""Type and shape of tensors, by name."""


def pieces(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the numbers of a tensor in order, `PIECE` at a time, flat: what is done to them needs no second tensor."""
    yield from torch.split(tensor.reshape(-1), PIECE)


def write_stream(path: Path, stored: Stored, read: Callable[[str], torch.Tensor]) -> None:
    """Write the file of these tensors: `read` is asked for one after the other, and its numbers get the stored type.

    Numbers go to their type through float32, as those of a model do that is loaded in float32.
    """
    order = sorted(stored, key=lambda name: (list(_TYPES).index(stored[name][0]), name))
    with path.open("wb") as stream:
        stream.write(_header({name: stored[name] for name in order}))
        for name in order:
            dtype, shape = stored[name]
            tensor = read(name)
            if tuple(tensor.shape) != shape:
                raise ValueError(f"{name} has the shape {list(tensor.shape)}, not {list(shape)}")
            for piece in pieces(tensor):
                typed = piece.float().to(dtype) if dtype.is_floating_point else piece.to(dtype)
                stream.write(typed.view(torch.uint8).numpy().data)


def _header(stored: Stored) -> bytes:
    """Return the length and the header, filled up with spaces so that the numbers begin on a multiple of 8 bytes."""
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape) in stored.items():
        start, end = end, end + torch.Size(shape).numel() * dtype.itemsize
        entries[name] = {"dtype": _TYPES[dtype], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNED)
    return len(text).to_bytes(8, "little") + text
