"""`train` with Unsloth, on a graphics card: the files of program `train`, faster and in less memory.

Unsloth replaces parts of transformers, trl and peft when it is imported, and wants to be imported before them. That
happens in the process of this program and in no other.
"""

from __future__ import annotations

import os
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

from .job import Job, JobError

VARIABLES = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "UNSLOTH_DISABLE_STATISTICS": "1",
}
"""What keeps Unsloth from asking a hub. The executor sets most of it; a hub would not be reached anyhow."""

DETERMINISTIC = {"TORCHINDUCTOR_DETERMINISTIC": "1", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
"""What has to be set before Unsloth is imported: it starts CUDA, and compiles. The rest: `deterministic_mode`."""

COMPILED = "UNSLOTH_COMPILE_LOCATION"
"""Variable that names the folder for the code that Unsloth writes while it runs; the image has one."""

REPLACED = frozenset({"transformers", "trl", "peft"})
"""What Unsloth replaces parts of."""


def main(job: Job) -> None:
    """Train with Unsloth; publish `adapter/` and `history.json`."""
    if job.parameters["train"].get("deterministic", True):
        os.environ.update(DETERMINISTIC)
    library = fast_language_model(job.scratch)

    from . import training_run, unsloth_training  # noqa: PLC0415 - after Unsloth, which replaces parts of what they use

    training_run.carry_out(job, partial(unsloth_training.make, library))


def fast_language_model(scratch: Path) -> Any:
    """Import Unsloth and return its `FastLanguageModel`. Raises `JobError` where there is none, or no card."""
    if early := sorted(REPLACED & set(sys.modules)):
        raise RuntimeError(f"Unsloth has to be imported before {', '.join(early)}")
    os.environ.update(VARIABLES)
    shutil.rmtree(scratch / "unsloth", ignore_errors=True)  # code is not run that an interruption may have cut
    os.environ.setdefault(COMPILED, str(scratch / "unsloth"))
    try:
        from unsloth import FastLanguageModel  # noqa: PLC0415 - it looks for a card, and no other program has it
    except ModuleNotFoundError as error:
        if error.name != "unsloth":
            raise
        raise _needs_the_image("this environment has no Unsloth") from error
    except NotImplementedError as error:  # what it raises where torch sees no card
        raise _needs_the_image(str(error)) from error
    return FastLanguageModel


def _needs_the_image(reason: str) -> JobError:
    return JobError(
        f'trainer = "unsloth" needs the training image with a CUDA GPU: {reason}.',
        where="recipe table [train]",
        advice='Run it there (docs/noteai.md), or set trainer = "trl", optimizer = "adamw_torch" to train here.',
    )
