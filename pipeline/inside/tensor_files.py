"""The safetensors files of a model folder, and single tensors of them: nothing is read that is not asked for."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open

from .job import JobError


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of a model folder, by name; raise `JobError` when there is none."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise JobError(
            "The base model has no safetensors file.",
            where=", ".join(sorted(path.name for path in folder.iterdir())) or "the folder is empty",
            advice="Convert its weights to safetensors first; pickled weights are not read, they can run code.",
        )
    return files


def tensor_files(folder: Path) -> dict[str, Path]:
    """Return the file of every tensor of a model folder, by the tensor's name."""
    found: dict[str, Path] = {}
    for path in weight_files(folder):
        with safe_open(path, framework="pt") as stream:
            found |= dict.fromkeys(stream.keys(), path)
    return dict(sorted(found.items()))


def tensor_shape(path: Path, name: str) -> list[int]:
    """Return the shape of one tensor."""
    with safe_open(path, framework="pt") as stream:
        return list(stream.get_slice(name).get_shape())


def read_tensor(path: Path, name: str) -> torch.Tensor:
    """Read one tensor."""
    with safe_open(path, framework="pt") as stream:
        tensor: torch.Tensor = stream.get_tensor(name)
    return tensor


def read_rows(path: Path, name: str, first: int, last: int) -> torch.Tensor:
    """Read the rows of one tensor from `first` on and before `last`: only these bytes of the file."""
    with safe_open(path, framework="pt") as stream:
        tensor: torch.Tensor = stream.get_slice(name)[first:last]
    return tensor
