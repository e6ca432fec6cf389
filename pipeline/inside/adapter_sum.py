"""The sum of a weight and its adapter, one weight at a time: W + scale · B·A, in float32.

The library's merge needs a whole model; this needs a weight and its two factors, so that a model larger than the
memory can be merged from file to file. The results are the library's, bit for bit (`tests/unit/inside/test_merge.py`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from .job import JobError
from .weights import ADAPTER_WEIGHTS

_FACTOR = re.compile(r"base_model\.model\.(.+)\.lora_(?:([AB])\.weight|embedding_([AB]))")

_OTHER = {"A": "B", "B": "A"}

OTHER_KINDS = (
    "alora_invocation_tokens",
    "alpha_pattern",
    "fan_in_fan_out",
    "layer_replication",
    "lora_bias",
    "modules_to_save",
    "rank_pattern",
    "target_parameters",
    "trainable_token_indices",
    "use_dora",
)
"""Settings of PEFT with which an adapter is more than two factors and one scale. No recipe asks for one."""


@dataclass(frozen=True)
class Adapter:
    """An adapter's factors by the name of the weight that they change, (A [rank, in], B [out, rank]), and its scale."""

    factors: dict[str, tuple[torch.Tensor, torch.Tensor]]
    scale: float

    def added_to(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        """Return a weight [out, in] with its update, float32; raise `JobError` if the sum is not finite."""
        a, b = self.factors[name]
        update: torch.Tensor = (b.float() @ a.float()).mul_(self.scale)
        total = update.add_(weight)  # in place: the same sum, and no third tensor of this size
        if not torch.isfinite(total).all():
            raise JobError(
                "The sum of base and adapter is not finite.",
                where=name,
                advice="Train again with a lower learning rate, and look at the training's losses and gradients.",
            )
        return total

    def check_places(self, places: Mapping[str, tuple[int, ...]]) -> None:
        """Raise `JobError` unless every pair of factors has its weight among `places`, name → shape."""
        lost = [name for name, (a, b) in self.factors.items() if places.get(name) != (b.shape[0], a.shape[1])]
        if lost:
            raise not_arrived(lost)


def read_adapter(folder: Path) -> Adapter:
    """Read an adapter's files; raise `JobError` if it is not a plain LoRA adapter."""
    try:
        return _read(folder)
    except (
        ValueError,
        LookupError,
        TypeError,
        ArithmeticError,
        AttributeError,
        RecursionError,
        SafetensorError,
    ) as error:
        raise JobError(
            f"The adapter cannot be read: {error}"[:500],
            where=f"adapter_config.json, {ADAPTER_WEIGHTS}",
            advice="Train it with this pipeline, or merge it with the library that made it.",
        ) from error


def _read(folder: Path) -> Adapter:
    config: dict[str, Any] = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    others = [key for key in OTHER_KINDS if config.get(key)]
    if config.get("peft_type", "LORA") != "LORA" or config.get("bias", "none") != "none" or others:
        raise JobError(
            "The adapter is not a plain LoRA adapter.",
            where=f"adapter_config.json: {', '.join(others) or 'peft_type, bias'}",
            advice="Train it with this pipeline, or merge it with the library that made it.",
        )
    divisor = math.sqrt(config["r"]) if config.get("use_rslora") else config["r"]
    scale = config["lora_alpha"] / divisor
    if not math.isfinite(scale):
        raise ValueError(f"its scale is {scale}")
    return Adapter(_factors(folder), scale)


def _factors(folder: Path) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    halves: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in load_file(folder / ADAPTER_WEIGHTS).items():
        match = _FACTOR.fullmatch(name)
        owner, half = (f"{match.group(1)}.weight", match.group(2) or match.group(3)) if match else (name, "")
        turned = bool(match and match.group(3))  # of an embedding [tokens, out]: its factors stand the other way round
        halves.setdefault(owner, {})[_OTHER[half] if turned else half] = tensor.T if turned else tensor
    alone = sorted(name for name, found in halves.items() if found.keys() != {"A", "B"})
    if alone:
        raise not_arrived(alone)
    return {name: (found["A"], found["B"]) for name, found in sorted(halves.items())}


def not_arrived(names: list[str]) -> JobError:
    """Return the error for tensors of an adapter that have no place in the base."""
    return JobError(
        f"{len(names)} tensors of the adapter did not arrive in the model.",
        where=", ".join(names[:5]),
        advice="The adapter was made for another architecture; train it on this base.",
    )
