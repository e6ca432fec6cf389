"""The safetensors files of a model folder, and single tensors of them: nothing is read that is not asked for."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from .job import JobError
from .safetensors_format import ADVICE, Entry, read_header


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
    return dict(sorted((name, path) for path in weight_files(folder) for name in read_header(path)))


def tensor_shape(path: Path, name: str) -> list[int]:
    """Return the shape of one tensor. Raises `JobError` when the file is damaged, or has none of that name."""
    return list(_entry(path, name).shape)


def read_tensor(path: Path, name: str) -> torch.Tensor:
    """Read one tensor. Raises `JobError` when the file is damaged, or has none of that name.

    The library maps a file privately and for writing unless it is told otherwise, which Linux refuses for one that is
    larger than memory and swap: a merged model of 14 B in one file has 29.5 GB.
    """
    try:
        with safe_open(path, framework="pt", backend="pread") as stream:
            tensor: torch.Tensor = stream.get_tensor(name)
    except SafetensorError as error:
        raise JobError(f"A tensor cannot be read: {error}", where=f"{path.name}: {name}", advice=ADVICE) from error
    return tensor


def read_rows(path: Path, name: str, first: int, last: int) -> torch.Tensor:
    """Read the rows of one tensor from `first` on and before `last`: only these bytes of the file.

    The library's slices do that of a mapped file alone; with `pread` it reads the whole tensor for any of its rows.
    Raises `JobError` as `tensor_shape` and `Entry.read_rows` do.
    """
    return _entry(path, name).read_rows(path, first, last)


def _entry(path: Path, name: str) -> Entry:
    """Return what a file's header says of one tensor."""
    entry = read_header(path).get(name)
    if entry is None:
        raise JobError("A safetensors file lacks a tensor.", where=f"{path.name}: {name}", advice=ADVICE)
    return entry
