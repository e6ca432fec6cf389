"""The tensors of the merged model, one at a time: the base's, or what training saw of it, with the adapter added."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from .adapter_sum import Adapter, read_adapter
from .job import JobError
from .saved_layout import Layout
from .tensor_files import read_tensor, tensor_files, tensor_shape
from .training_base import TrainingBase


@dataclass(frozen=True)
class MergedTensors:
    """The tensors of the merged model, each made when it is asked for: none but that one is in memory."""

    files: dict[str, Path]
    adapter: Adapter
    layout: Layout
    trained_on: TrainingBase | None

    @classmethod
    def of(cls, base: Path, adapter: Path, layout: Layout, trained_on: TrainingBase | None = None) -> MergedTensors:
        """Take base and adapter, read from their folders; raise `JobError` where the three do not fit each other."""
        made = cls(tensor_files(base), read_adapter(adapter), layout, trained_on)
        check_files(made.files, layout)
        made.adapter.check_places({name: layout.parameters[name] for name in layout.saved if name in layout.parameters})
        return made

    def read(self, name: str) -> torch.Tensor:
        """Return one tensor: the base's (or what training saw in its place), with the adapter's update in float32.

        Raises `JobError` when the sum is not finite.
        """
        tensor = read_tensor(self.files[name], name)
        if self.trained_on is not None and name not in self.layout.buffers:
            tensor = self.trained_on.seen(name, tensor)
        return self.adapter.added_to(name, tensor) if name in self.adapter.factors else tensor


def check_files(files: dict[str, Path], layout: Layout) -> None:
    """Raise `JobError` unless the base's files hold every tensor that is written, in its shape."""
    unlike = [
        name
        for name, one in layout.saved.items()
        if name not in files or tuple(tensor_shape(files[name], name)) != tuple(one.shape)
    ]
    if unlike:
        raise JobError(
            f"{len(unlike)} tensors that the model has by its config.json are not in its files, or have another shape.",
            where=", ".join(unlike[:5]),
            advice="Take a base whose weights belong to its config.json and have the library's names: load it with"
            " transformers and save it again.",
        )
