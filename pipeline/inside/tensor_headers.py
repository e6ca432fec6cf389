"""Names, types and shapes of a model folder's tensors, from the safetensors headers: no weight is read."""

from __future__ import annotations

from pathlib import Path

from .safetensors_format import read_header
from .tensor_files import weight_files

EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "tok_embeddings.weight", "embed_in.weight")
"""How the architectures that the converter knows call the table of token embeddings."""

OUTPUTS = ("lm_head.weight", "output.weight", "embed_out.weight")


def tensor_shapes(folder: Path) -> dict[str, tuple[str, list[int]]]:
    """Return name → (type, shape) of every tensor in the folder's safetensors files.

    Raises `JobError` when there is no such file or a header is damaged.
    """
    entries = [entry for path in weight_files(folder) for entry in read_header(path).items()]
    return {name: (entry.kind, list(entry.shape)) for name, entry in entries}


def embedding_rows(shapes: dict[str, tuple[str, list[int]]]) -> int | None:
    """Return the rows of the token embeddings, or None when no tensor has a known name."""
    return _rows(shapes, EMBEDDINGS)


def output_rows(shapes: dict[str, tuple[str, list[int]]]) -> int | None:
    """Return the rows of the output layer, or None when it is tied to the embeddings or unknown."""
    return _rows(shapes, OUTPUTS)


def _rows(shapes: dict[str, tuple[str, list[int]]], endings: tuple[str, ...]) -> int | None:
    found = [shape[0] for name, (_, shape) in sorted(shapes.items()) if shape and name.endswith(endings)]
    return found[0] if found else None
