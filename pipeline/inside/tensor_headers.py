"""Names, types and shapes of a model folder's tensors, from the safetensors headers: no weight is read."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from .job import JobError
from .tensor_files import weight_files

MAX_HEADER_BYTES = 100_000_000
"""The limit that the safetensors library itself sets."""

EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "tok_embeddings.weight", "embed_in.weight")
"""How the architectures that the converter knows call the table of token embeddings."""

OUTPUTS = ("lm_head.weight", "output.weight", "embed_out.weight")


def tensor_shapes(folder: Path) -> dict[str, tuple[str, list[int]]]:
    """Return name → (type, shape) of every tensor in the folder's safetensors files.

    Raises `JobError` when there is no such file or a header is damaged.
    """
    return {name: found for path in weight_files(folder) for name, found in _header(path).items()}


def embedding_rows(shapes: dict[str, tuple[str, list[int]]]) -> int | None:
    """Return the rows of the token embeddings, or None when no tensor has a known name."""
    return _rows(shapes, EMBEDDINGS)


def output_rows(shapes: dict[str, tuple[str, list[int]]]) -> int | None:
    """Return the rows of the output layer, or None when it is tied to the embeddings or unknown."""
    return _rows(shapes, OUTPUTS)


def _rows(shapes: dict[str, tuple[str, list[int]]], endings: tuple[str, ...]) -> int | None:
    found = [shape[0] for name, (_, shape) in sorted(shapes.items()) if shape and name.endswith(endings)]
    return found[0] if found else None


def _header(path: Path) -> dict[str, tuple[str, list[int]]]:
    """Read one header: eight bytes of length (little endian), then JSON."""
    try:
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > MAX_HEADER_BYTES:
                raise ValueError(f"a header of {length} bytes")
            entries = json.loads(stream.read(length))
        return {name: _told(name, one) for name, one in entries.items() if name != "__metadata__"}
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise JobError(
            f"A safetensors header cannot be read: {error}", where=path.name, advice="Fetch the base model again."
        ) from error


def _told(name: str, entry: dict[str, Any]) -> tuple[str, list[int]]:
    """Return type and shape of one entry. Raises ValueError when they are none."""
    kind, shape = entry["dtype"], entry["shape"]
    if (
        not isinstance(kind, str)
        or not isinstance(shape, list)
        or any(type(one) is not int or one < 0 for one in shape)
    ):
        raise ValueError(f"{name!r} has no type, or no shape")
    return kind, shape
