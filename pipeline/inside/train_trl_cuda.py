"""`train` with TRL and PEFT on a graphics card, the base packed in 4 bits by bitsandbytes: where Unsloth does not go.

The trainer is that of program `train`. That one holds the 4-bit values in 16 or 32 bits, on any processor; this one
holds them packed, in a quarter of the memory.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig
from transformers.utils.logging import disable_progress_bar

from . import fine_tuning, weights
from .job import Job, JobError
from .tensor_files import weight_files
from .training_base import PRECISIONS
from .training_run import Training, carry_out


def main(job: Job) -> None:
    """Train on a card; publish `adapter/` and `history.json`."""
    if not torch.cuda.is_available():
        raise JobError(
            'trainer = "trl-cuda" needs a CUDA GPU, and torch sees none.',
            where="recipe table [train]",
            advice='Run it in the training image with `gpus` in run.toml, or set trainer = "trl" to train here.',
        )
    start_cuda()
    carry_out(job, make)


def start_cuda() -> None:
    """Start CUDA, which reads its variables then: making the trainer sets one that lets it wait after each kernel."""
    torch.zeros(1, device="cuda")


def make(training: Training) -> tuple[Any, fine_tuning.Watch]:
    """Load the base and return TRL's trainer around it."""
    return fine_tuning.build(
        load(training),
        training.tokenizer,
        training.samples,
        training.table,
        training.checkpoints,
        resumed=training.resumed,
    )


def load(training: Training) -> Any:
    """Load what is trained on: as it is stored, or packed in 4 bits, all linear layers but the output layer."""
    table = training.table
    kind = PRECISIONS[table["precision"]]
    if not table["load_in_4bit"]:
        return weights.load_model(training.folder, kind, table["attention"])
    weight_files(training.folder)
    quiet: Any = disable_progress_bar
    quiet()
    packed = {} if training.is_copy else {"quantization_config": four_bits(kind, double=table["double_quantization"])}
    return AutoModelForCausalLM.from_pretrained(
        str(training.folder),
        dtype=kind,
        attn_implementation=table["attention"],
        trust_remote_code=False,
        use_safetensors=True,
        local_files_only=True,
        device_map={"": int(os.environ.get("LOCAL_RANK", "0"))},  # a card for each rank, where there are several
        **packed,
    )


def four_bits(kind: torch.dtype, *, double: bool) -> BitsAndBytesConfig:
    """Return how the base is packed while it loads: NF4, as `inside/nf4.py` computes it. A copy brings its own."""
    config: Any = BitsAndBytesConfig
    made: BitsAndBytesConfig = config(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=double,
        bnb_4bit_compute_dtype=kind,
    )
    return made
