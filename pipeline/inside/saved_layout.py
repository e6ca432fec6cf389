"""What the library writes of a model, found out without its weights: names, shapes and types of tensors, and files.

The model is made on torch's device "meta", where a tensor has a shape and no numbers. The rest is asked of the very
functions that the library's `save_pretrained` asks, so a new version of it that names or splits otherwise shows in
`tests/unit/inside/test_streamed_merge.py`, which compares the bytes.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import split_state_dict_into_shards_factory
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import PrefixChange, revert_weight_conversion
from transformers.modeling_utils import remove_tied_weights_from_state_dict

SHARD_SIZE: int | str = inspect.signature(PreTrainedModel.save_pretrained).parameters["max_shard_size"].default
"""A file that would become larger than this is split: the library's own default."""

INDEX = "model.safetensors.index.json"

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """One model.

    `parameters` are name → shape, of tied ones the first; `buffers` are names; `saved` are the tensors that are
    written, without numbers, in the library's order; `embedding_rows` are those of the token embeddings.
    """

    parameters: dict[str, Shape]
    buffers: frozenset[str]
    saved: dict[str, torch.Tensor]
    embedding_rows: int

    def stored(self, dtype: torch.dtype) -> dict[str, tuple[torch.dtype, Shape]]:
        """Return type and shape of each tensor that is written, where weights are stored as `dtype`."""
        return {name: (_stored_as(one, dtype), tuple(one.shape)) for name, one in self.saved.items()}

    def files(self, dtype: torch.dtype) -> dict[str, list[str]]:
        """Return file → names of the tensors in it."""
        found: dict[str, list[str]] = self._split(dtype).filename_to_tensors
        return found

    def index(self, dtype: torch.dtype) -> str | None:
        """Return the text of the index of several files; None of one."""
        split = self._split(dtype)
        if not split.is_sharded:
            return None
        count = sum(torch.Size(shape).numel() for shape in self.parameters.values())
        told = {"metadata": {"total_parameters": count, **split.metadata}, "weight_map": split.tensor_to_filename}
        return json.dumps(told, indent=2, sort_keys=True) + "\n"

    def _split(self, dtype: torch.dtype) -> Any:
        """Tensors that are parts of one (a mixture's experts) count once and stay together, as the library does it."""
        return split_state_dict_into_shards_factory(
            self.saved,
            get_storage_size=lambda one: _numbers(one) * _stored_as(one, dtype).itemsize,
            get_storage_id=lambda one: one.untyped_storage()._cdata,  # noqa: SLF001 - what there is without numbers
            filename_pattern="model{suffix}.safetensors",
            max_shard_size=SHARD_SIZE,
        )


def _stored_as(tensor: torch.Tensor, dtype: torch.dtype) -> torch.dtype:
    return dtype if tensor.is_floating_point() else tensor.dtype


def _numbers(tensor: torch.Tensor) -> int:
    """Return how many numbers a tensor's storage holds: those of all that are parts of it."""
    return tensor.untyped_storage().nbytes() // tensor.element_size()


def layout_of(folder: Path) -> Layout:
    """Return the layout of the model that a folder's config.json describes. Nothing else is read."""
    make: Any = AutoModelForCausalLM.from_config  # not annotated
    with torch.device("meta"):
        model: Any = make(AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False))
    model.tie_weights()
    return Layout(
        parameters={name: tuple(one.shape) for name, one in model.named_parameters()},
        buffers=frozenset(name for name, _ in model.named_buffers()),
        saved=_saved(model),
        embedding_rows=int(model.get_input_embeddings().weight.shape[0]),
    )


def _saved(model: Any) -> dict[str, torch.Tensor]:
    """Return what `save_pretrained` writes of a model that `from_pretrained` loaded from the library's own names."""
    state = {name: one for name, one in model.state_dict().items() if name not in model._keys_to_ignore_on_save}  # noqa: SLF001 - as there
    untied = remove_tied_weights_from_state_dict(state, model)
    # A loaded model carries the conversions that were used, an empty list as well: names are sorted then.
    conversions = get_model_conversion_mapping(model, add_legacy=False)
    model._weight_conversions = [one for one in conversions if not isinstance(one, PrefixChange)]  # noqa: SLF001 - as there
    found: dict[str, torch.Tensor] = revert_weight_conversion(model, untied)
    return found
