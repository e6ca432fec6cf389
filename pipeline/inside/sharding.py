"""A model whose weights are shared out over processes: FSDP2, torch's `fully_shard`.

Not through Accelerate: on processors that trains with whole copies without a word, and for a checkpoint it gathers the
whole base, of which nothing has changed. Here only the adapter is ever gathered.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from .job import JobError

_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


def shard(model: Any, device: torch.device) -> None:
    """Share out a `PeftModel`, in place: each layer by itself, and what is left as one.

    Raises `JobError` for a model that does not say what its layers are.
    """
    kinds = set(getattr(model.get_base_model(), "_no_split_modules", None) or ())
    layers = [module for module in model.modules() if type(module).__name__ in kinds]
    if not layers:
        raise JobError(
            "This model cannot be shared out: it does not say which of its parts are layers.",
            where=type(model.get_base_model()).__name__,
            advice='Set train.sharding = "none".',
        )
    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    for layer in layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    model._is_accelerate_prepared = True  # noqa: SLF001 - what keeps Accelerate from putting DDP around it


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor put together from its shards. All processes have to ask for it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def adapter(model: Any) -> dict[str, torch.Tensor]:
    """Return the whole tensors of what is trained, by name, on every process."""
    return {name: whole(one.detach()).cpu() for name, one in model.named_parameters() if one.requires_grad}


def gather_adapter(model: Any) -> None:
    """Put the adapter together in every process, when nothing is computed any more: the base stays shared out."""
    for module in model.modules():
        for name, one in list(module.named_parameters(recurse=False)):
            if one.requires_grad and isinstance(one, DTensor):
                module.register_parameter(name, torch.nn.Parameter(whole(one.detach()).clone()))


def optimizer_state(model: Any, optimizer: Any) -> dict[str, Any]:
    """Return the whole state of an optimizer, by the names of parameters; empty but in rank 0."""
    return get_optimizer_state_dict(model, optimizer, options=_WHOLE)


def put_optimizer_state(model: Any, optimizer: Any, state: dict[str, Any]) -> None:
    """Give an optimizer a whole state that every process has read."""
    set_optimizer_state_dict(model, optimizer, state, options=StateDictOptions(full_state_dict=True))
