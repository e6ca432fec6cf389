"""Deterministic mode of a training on a card: every known switch, and what has none.

On a processor program `train` has it always (`numerics`), and it costs nothing. On a card kernels that add in any order
are the fast ones, so a recipe may do without.
"""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from . import heard_operations
from .job import JobError

VARIABLES = {
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    "FLASH_ATTENTION_DETERMINISTIC": "1",
    # Sums of several cards in the order of a ring; a switch that adds on its way does so in any order.
    "NCCL_ALGO": "Ring",
    "NCCL_NVLS_ENABLE": "0",
    "NCCL_COLLNET_ENABLE": "0",
    "TORCHINDUCTOR_DETERMINISTIC": "1",
}
"""Variables that CUDA, NCCL and the compiler of torch read when they start."""

_NO_FORM = re.compile(r"(\S+) does not have a deterministic implementation")
_ANY_ORDER = re.compile(r"(.+?) defaults to a non-deterministic algorithm")


def is_asked(train: Mapping[str, Any]) -> bool:
    """Tell whether a recipe's table `[train]` asks for it. It does where it says nothing."""
    return bool(train.get("deterministic", True))


def prepare(train: Mapping[str, Any]) -> None:
    """Set the variables, before CUDA starts."""
    if is_asked(train):
        os.environ.update(VARIABLES)


def switch(train: Mapping[str, Any]) -> None:
    """Switch torch, after a trainer was made: making one sets some of this in its own way.

    Unsloth's own kernels are none of torch's. One of torch's that has no deterministic form is told of there and does
    not end the run, so attention is computed by the one way that has no other form.
    """
    asked = is_asked(train)
    only_tell = train["trainer"] == "unsloth"
    prepare(train)
    if not asked:
        os.environ.pop("FLASH_ATTENTION_DETERMINISTIC", None)
    torch.use_deterministic_algorithms(asked, warn_only=only_tell)
    torch.backends.cudnn.deterministic = asked
    torch.backends.cudnn.benchmark = False
    if asked:
        torch.set_float32_matmul_precision("highest")  # no TF32
        torch.backends.cudnn.allow_tf32 = False
    if torch.cuda.is_available():  # a processor's attention has one order, and is chosen by the same switches
        torch.backends.cuda.enable_cudnn_sdp(not asked)
        torch.backends.cuda.enable_flash_sdp(not (asked and only_tell))
        torch.backends.cuda.enable_mem_efficient_sdp(not (asked and only_tell))


@contextlib.contextmanager
def listening(scratch: Path) -> Iterator[set[str]]:
    """Collect what torch says of operations without a deterministic form; what is heard outlives an interruption.

    Raises `JobError` where torch was told to stop at one.
    """
    heard = heard_operations.kept(scratch) or set()
    show = warnings.showwarning

    def listen(message: Warning | str, *where: Any, **more: Any) -> None:
        name = operation(str(message))
        if name is None:
            show(message, *where, **more)
        elif name not in heard:
            heard.add(name)
            heard_operations.keep(scratch, heard)

    with warnings.catch_warnings():
        for pattern in (_NO_FORM, _ANY_ORDER):
            warnings.filterwarnings("always", message=f".*{pattern.pattern}")
        warnings.showwarning = listen
        try:
            yield heard
        except RuntimeError as error:
            if (name := operation(str(error))) is None:
                raise
            raise JobError(
                f"An operation of this training has no deterministic form here: {name}.",
                where="recipe key train.deterministic",
                advice="Set train.deterministic = false: two trainings may then give different adapters.",
            ) from error


def operation(text: str) -> str | None:
    """Return the operation without a deterministic form that torch's message is about; None for any other message."""
    found = _NO_FORM.search(text) or _ANY_ORDER.search(text)
    return found.group(1) if found else None


def facts(train: Mapping[str, Any], heard: set[str]) -> dict[str, Any]:
    """Return what was switched and what could not be, for the published history."""
    asked = is_asked(train)
    mode = "off" if not asked else "warn" if train["trainer"] == "unsloth" else "strict"
    return {"mode": mode, "not_deterministic": sorted(heard), "not_checked": not_checked(train)}


def not_checked(train: Mapping[str, Any]) -> list[str]:
    """Return whose kernels run without torch knowing in which order they add."""
    is_packed = train["load_in_4bit"] and train["trainer"] != "trl"
    found = {
        "bitsandbytes (4-bit weights)": is_packed,
        "bitsandbytes (8-bit AdamW)": train["optimizer"] == "adamw_8bit",
        "Unsloth (Triton kernels, attention of its choice)": train["trainer"] == "unsloth",
        "NCCL (the ring depends on the cards and on how they are connected)": train.get("processes", 1) > 1
        and torch.cuda.is_available(),
    }
    return sorted(name for name, applies in found.items() if applies)
