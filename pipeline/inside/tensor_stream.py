"""A safetensors file written one tensor at a time, the bytes that the library writes of all at once.

The library puts the widest types first and sorts by name among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from .safetensors_format import TYPES, Stored, header

PIECE = 2**24
"""Numbers of a tensor that are worked on at a time: 64 MiB of float32."""


def pieces(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the numbers of a tensor in order, `PIECE` at a time, flat: what is done to them needs no second tensor."""
    yield from torch.split(tensor.reshape(-1), PIECE)


def write_stream(path: Path, stored: Stored, read: Callable[[str], torch.Tensor]) -> None:
    """Write the file of these tensors: `read` is asked for one after the other, and its numbers get the stored type.

    Numbers go to their type through float32, as those of a model do that is loaded in float32.
    """
    order = sorted(stored, key=lambda name: (list(TYPES).index(stored[name][0]), name))
    with path.open("wb") as stream:
        stream.write(header({name: stored[name] for name in order}))
        for name in order:
            dtype, shape = stored[name]
            tensor = read(name)
            if tuple(tensor.shape) != shape:
                raise ValueError(f"{name} has the shape {list(tensor.shape)}, not {list(shape)}")
            for piece in pieces(tensor):
                typed = piece.float().to(dtype) if dtype.is_floating_point else piece.to(dtype)
                stream.write(typed.view(torch.uint8).numpy().data)
