"""Faults in adapter and weights: all must end at `merge`, before anything is converted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.faults.fault import Fault
from tests.faults.workshop import REFUSED, Judged, Trail, Workshop

TARGET = "model.layers.1.mlp.down_proj.weight"
OTHER = "model.layers.2.input_layernorm.weight"


def merge_with(shop: Workshop, edit: Callable[[Any], Any], tensor: str = TARGET) -> Judged:
    """Run `merge`, one tensor of the sum changed before it is written."""
    from pipeline.inside.merged_tensors import MergedTensors

    real = MergedTensors.read

    def read(merged: MergedTensors, name: str) -> Any:
        made = real(merged, name)
        if name == tensor:
            edit(made)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MergedTensors, "read", read)
        return shop.run("merge")


def tensor_edit(shop: Workshop, edit: Callable[[Any], Any], tensor: str = TARGET) -> Trail:
    """Change one tensor of the merged model."""
    yield merge_with(shop, edit, tensor)


def _not_a_number(weight: Any) -> None:
    weight[3, 5] = float("nan")


def _too_large(weight: Any) -> None:
    weight[3, 5] = 70_000.0


def _zeroed(weight: Any) -> None:
    weight.zero_()


def _other_norm(weight: Any) -> None:
    weight.add_(0.5)


def never_merged(shop: Workshop) -> Trail:
    """Write the base again, and forget the adapter."""
    from pipeline.inside.merged_tensors import MergedTensors
    from pipeline.inside.tensor_files import read_tensor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MergedTensors, "read", lambda self, name: read_tensor(self.files[name], name))
        judged = shop.run("merge")
    yield judged


def wrong_base(shop: Workshop) -> Trail:
    """Merge into a base of the same shape with other weights."""
    from safetensors.torch import load_file, save_file

    folder = shop.copy("fetch-base")
    tensors = load_file(folder / "model.safetensors")
    tensors[TARGET] = tensors[TARGET] * 1.01
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    yield shop.run("merge", {"fetch-base": folder})


def adapter_left(shop: Workshop) -> Trail:
    """Write the merged weights into a folder that holds the adapter too."""
    from pipeline.inside import merge

    real = merge.copy_files

    def copy_files(base: Any, folder: Any) -> None:
        real(base, folder)
        (folder / "adapter_config.json").write_text("{}", encoding="utf-8")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge, "copy_files", copy_files)
        judged = shop.run("merge")
    yield judged


def _merge(name: str, what: str, plant: Callable[[Workshop], Trail], gate: str, cause: str) -> Fault:
    return Fault(name, what, plant, "merge", gate, cause)


TENSOR_FAULTS = (
    _merge("never-merged", "adapter saved but never merged", never_merged, "merge.tensors", "adapter was not merged"),
    _merge("wrong-base", "merge into the wrong base", wrong_base, REFUSED, "trained on another base model"),
    _merge(
        "adapter-left", "adapter files beside the merged weights", adapter_left, "merge.files", "over the adapter's"
    ),
    _merge(
        "one-tensor-nan",
        "one tensor NaN",
        partial(tensor_edit, edit=_not_a_number),
        "merge.values",
        "training diverged",
    ),
    _merge(
        "one-tensor-too-large",
        "one tensor over 65504",
        partial(tensor_edit, edit=_too_large),
        "merge.values",
        "the adapter's scale is far too high",
    ),
    _merge(
        "one-tensor-zeroed",
        "one tensor zeroed",
        partial(tensor_edit, edit=_zeroed),
        "merge.values",
        "a tensor was lost",
    ),
    _merge(
        "one-tensor-touched",
        "a tensor changed that the adapter does not target",
        partial(tensor_edit, edit=_other_norm, tensor=OTHER),
        "merge.tensors",
        "touched more than its targets",
    ),
)
