"""The base as training saw it, where training loaded 4 bits (QLoRA): each weight as it comes back from NF4.

The weights are 4-bit values held in `precision`. The forward and backward passes of QLoRA are computed with just these
numbers; what is not had is the memory that packed weights save. So a CPU can train, and what comes after the training
sees what the adapter was trained on, without bitsandbytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from . import nf4
from .four_bit_copy import FourBitCopy
from .job import Job, JobError

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class TrainingBase:
    """What training loaded: `copy`, a folder stored in 4 bits, or the `base` itself, quantized while it loads."""

    base: Path
    copy: Path | None
    double: bool
    precision: torch.dtype

    @classmethod
    def of(cls, job: Job) -> TrainingBase | None:
        """Return what the recipe's table `[train]` says of the base; None where training loads it as it is stored."""
        train = job.parameters.get("train", {})
        if not train.get("load_in_4bit"):
            return None
        copy = job.inputs.get("training_base")
        return cls(job.inputs["base"], copy, train["double_quantization"], PRECISIONS[train["precision"]])

    @property
    def folder(self) -> Path:
        """The folder whose digest the adapter carries."""
        return self.copy or self.base

    @cached_property
    def _stored(self) -> FourBitCopy | None:
        return None if self.copy is None else FourBitCopy(self.copy)

    @cached_property
    def _rounded(self) -> frozenset[str]:
        """Names of the weights that are quantized while they load: of all linear layers but the output layer."""
        make: Any = AutoModelForCausalLM.from_config  # not annotated
        with torch.device("meta"):
            config = AutoConfig.from_pretrained(str(self.base), local_files_only=True, trust_remote_code=False)
            model: Any = make(config)
        output = model.get_output_embeddings()
        linear = (name for name, one in model.named_modules() if isinstance(one, torch.nn.Linear) and one is not output)
        return frozenset(f"{name}.weight" for name in linear)

    def seen(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        """Return what training saw in the place of the base's tensor `name`, in the type of training.

        Raises `JobError` when the copy has no such tensor, or one of another shape.
        """
        if self._stored is None:
            exact = weight.to(self.precision)
            return nf4.round_trip(exact, double=self.double).to(self.precision) if name in self._rounded else exact
        if name not in self._stored.files or self._stored.shape(name) != tuple(weight.shape):
            raise JobError(
                "The 4-bit copy that training loads is not a copy of this base.",
                where=f"{name}: {list(weight.shape)} in the base",
                advice="Name in [base.training] the 4-bit copy of the model in [base].",
            )
        return self._stored.values(name).to(self.precision)

    def put_into(self, model: Any) -> None:
        """Give a model, loaded from the base, the weights that training saw."""
        with torch.no_grad():
            named: Iterable[tuple[str, torch.nn.Parameter]] = model.named_parameters()
            for name, parameter in named:
                parameter.copy_(self.seen(name, parameter.detach()))
