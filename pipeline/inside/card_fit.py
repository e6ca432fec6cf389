"""How many layers of a model fit a card: what llama.cpp calls `n_gpu_layers`. Both worlds ask."""

from __future__ import annotations

from dataclasses import dataclass

from .model_memory import Model, padded

GIB = 1 << 30
RUNTIME_GIB = 0.5
"""What CUDA's context and cuBLAS take of a card beside llama.cpp's buffers: an allowance, not measured."""
DESKTOP_GIB = 0.7
"""What a desktop on the same card takes: an allowance; `--free-gib` names what is really free (`nvidia-smi`)."""


@dataclass(frozen=True)
class Fit:
    """`layers` is the value for `-ngl`: the output layer is one of `of`. All else in bytes, on the card."""

    model: str
    layers: int
    of: int
    context: int
    weights: int
    kv: int
    compute: int
    free: int
    card_bytes_per_token: int
    host_bytes_per_token: int

    @property
    def whole(self) -> bool:
        """Whether all layers are on the card."""
        return self.layers == self.of

    @property
    def used(self) -> int:
        """Bytes that are taken of the card."""
        return self.weights + self.kv + self.compute


def fit(model: Model, free: int, context: int, kv_type: str = "F16", compute: int | None = None) -> Fit:
    """Put as many layers on a card as `free` bytes hold, the last ones first, as llama.cpp does.

    `context` are the cells of the cache, `compute` the bytes of the compute buffer: with flash attention, if not given.

    llama.cpp (src/llama-model.cpp, `load_tensors`): of `n_gpu_layers` the first is the output layer, each further one
    the last repeating layer that is not there yet, with its part of the key-value cache. While layers stay in main
    memory, a long prompt copies their weights to the card one at a time: there must be room for the largest.
    """
    count = len(model.layers)
    buffer = model.compute_bytes(context) if compute is None else compute
    best = _part(model, free, context, kv_type, buffer, 0)
    for layers in range(1, count + 2):
        found = _part(model, free, context, kv_type, buffer, layers)
        if found.used <= free:
            best = found
    return best


def _part(model: Model, free: int, context: int, kv_type: str, buffer: int, layers: int) -> Fit:
    count = len(model.layers)
    first = count - (layers - 1) if layers else count
    on_card = range(first, count)
    weights = sum(model.layers[layer] for layer in on_card) + (model.output if layers else 0)
    compute = 0
    if layers:
        compute = int(RUNTIME_GIB * GIB) + buffer + (model.largest if layers <= count else 0)
    return Fit(
        model=model.name,
        layers=layers,
        of=count + 1,
        context=padded(context),
        weights=weights,
        kv=sum(model.kv_bytes(layer, context, kv_type) for layer in on_card),
        compute=compute,
        free=free,
        card_bytes_per_token=weights,
        host_bytes_per_token=model.read_per_token - weights,
    )
