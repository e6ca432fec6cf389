"""Some of a model's weights, loaded by name from its files: the values that the library loads, and no others.

The library's own loading reads a whole model. This asks the function at the heart of it, which renames and converts
what a file holds (a mixture's experts lie there one by one), for the weights of one part.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import (
    WeightConverter,
    WeightRenaming,
    convert_and_load_state_dict_in_model,
    rename_source_key,
)
from transformers.modeling_utils import LoadStateDictConfig
from transformers.utils.logging import disable_progress_bar

from . import streamed_model, weights
from .job import JobError
from .tensor_files import weight_files

Tensors = dict[str, torch.Tensor]


class ModelParts:
    """The weights of the model in a folder, in the type `dtype` on the device `place`.

    `config` is the model's; `names` are those of all parameters and stored buffers, tied ones under each name.
    Raises `JobError` for a folder without weights, and for packed weights.
    """

    def __init__(self, folder: Path, dtype: torch.dtype | str, place: str, attention: str) -> None:
        weight_files(folder)
        quiet: Any = disable_progress_bar
        quiet()
        self.config: Any = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        if getattr(self.config, "quantization_config", None):
            raise JobError(
                "The model's weights are packed: its layers are not loaded one by one.",
                where="config.json",
                advice="Take the base in 16 bits, of which a packed copy was made.",
            )
        self._dtype = (self.config.dtype or weights.stored_dtype(folder)) if isinstance(dtype, str) else dtype
        self._place, self._attention = place, attention
        self._files = streamed_model.checkpoint_files(folder, self.config)
        with torch.device("meta"):
            self._empty = self._made()
        self.names = frozenset(self._empty.state_dict())
        with streamed_model.stored(self._files, place) as tensors:
            self._targets = self._targets_of(tensors)

    def skeleton(self) -> Any:
        """Return the model on its device, its buffers computed. Its parameters have type and shape, and no memory."""
        with torch.device(self._place), init_empty_weights(include_buffers=False):
            model = self._made()
        for name, parameter in list(model.named_parameters(remove_duplicate=False)):
            put(model, name, self.hollow(parameter))
        return model.eval()

    def hollow(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a parameter of a tensor's type and shape on the device that is one number again and again."""
        one = torch.zeros((), dtype=tensor.dtype, device=self._place)
        return torch.nn.Parameter(one.expand(tensor.shape), requires_grad=False)

    def size(self, names: Iterable[str]) -> int:
        """Return the bytes of these weights on the device."""
        state = self._empty.state_dict()
        return sum(state[name].numel() * state[name].element_size() for name in names)

    def load(self, names: Iterable[str]) -> Tensors:
        """Return these weights: all of a part, since some lie in the files as one. Raises `JobError` for lost ones."""
        wanted = {name: self._held(name) for name in names}
        sought = set(wanted.values())
        with streamed_model.stored(self._files, self._place) as tensors:
            found = self._convert({key: tensors[key] for key, target in self._targets.items() if target in sought})
        streamed_model.refuse_made_up(sorted(sought - found.keys()))
        return {name: found[held] for name, held in wanted.items()}

    def _made(self) -> Any:
        make: Any = AutoModelForCausalLM.from_config  # not annotated
        return make(self.config, dtype=self._dtype, attn_implementation=self._attention, trust_remote_code=False)

    def _transforms(self) -> tuple[list[Any], list[Any]]:
        found = get_model_conversion_mapping(self._empty)
        return [one for one in found if isinstance(one, WeightRenaming)], [
            one for one in found if isinstance(one, WeightConverter)
        ]

    def _targets_of(self, keys: Iterable[str]) -> dict[str, str]:
        """Return stored name → the model's name that it goes to: of several the first. As the library finds it."""
        prefix, state = self._empty.base_model_prefix, self._empty.state_dict()
        renamings, converters = self._transforms()
        found = {}
        for key in keys:
            target, _ = rename_source_key(key, renamings, converters, prefix, state)
            if target not in state and key in state:
                target, _ = rename_source_key(key, [], [], prefix, state)
            found[key] = target
        return found

    def _held(self, name: str) -> str:
        """Return the name under which a weight is stored: its own, or that of the one that it is tied to."""
        tied: Mapping[str, str] = self._empty.all_tied_weights_keys
        there = set(self._targets.values())
        others = [source for target, source in tied.items() if target == name]
        others += [target for target, source in tied.items() if source == name]
        return name if name in there else next((one for one in others if one in there), name)

    def _convert(self, tensors: Mapping[str, Any]) -> Tensors:
        """Load tensors as the library does, and take them out of the empty model again."""
        renamed: Any = get_model_conversion_mapping(self._empty)
        settings = LoadStateDictConfig(
            device_map={"": self._place},
            dtype=self._dtype,
            dtype_plan=self._empty._get_dtype_plan(self._dtype),  # noqa: SLF001 - as the library's own loading does
            weight_mapping=renamed,
        )
        # One after the other: threads of the library's pool, new ones for each part, keep what they let go.
        os.environ["HF_DEACTIVATE_ASYNC_LOAD"] = "1"
        load: Any = convert_and_load_state_dict_in_model
        told, _ = load(self._empty, dict(tensors), settings)
        if told.conversion_errors or told.mismatched_keys:
            names = [*told.conversion_errors, *(name for name, *_ in told.mismatched_keys)]
            raise JobError(
                "Weights are not those of the config.json.",
                where=", ".join(sorted(names)[:5]),
                advice=streamed_model.AGAIN,
            )
        state = self._empty.state_dict(keep_vars=True)
        found = {name: state[name] for name in self.names - told.missing_keys}
        for name, tensor in found.items():
            put(self._empty, name, torch.nn.Parameter(tensor.detach().to("meta"), requires_grad=False))
        return found


def put(model: Any, name: str, tensor: torch.Tensor) -> None:
    """Put a parameter or a buffer into a model, under a name."""
    owner, _, attribute = name.rpartition(".")
    put_into(model.get_submodule(owner), attribute, tensor)


def put_into(module: Any, attribute: str, tensor: torch.Tensor) -> None:
    """Put a parameter or a buffer into the module that owns it."""
    setattr(module, attribute, tensor.data if attribute in module._buffers else tensor)  # noqa: SLF001 - the only way to ask
