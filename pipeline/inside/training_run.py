"""A training on a card or by several processes, but for what trains: what is read before, what is published after.

The same inputs, checkpoints, events and files as of program `train`. Imports transformers and its kin: where a library
wants to be imported before these, import it first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import checkpoints, deterministic_mode, heard_operations, numerics, trackers, train
from .fine_tuning import Sample, Watch
from .job import Job, measured, write_json
from .tokenizer_loading import load_tokenizer
from .training_base import TrainingBase


@dataclass(frozen=True)
class Training:
    """What a trainer is made for.

    `folder` holds the weights to train on: the base, or its 4-bit `copy`. `table` is the recipe's table `[train]`,
    `checkpoints` where checkpoints go, `resumed` whether there is one to go on from.
    """

    folder: Path
    is_copy: bool
    tokenizer: Any
    samples: Mapping[str, Sequence[Sample]]
    table: Mapping[str, Any]
    checkpoints: Path
    resumed: bool


def carry_out(job: Job, make: Callable[[Training], tuple[Any, Watch]]) -> None:
    """Train with the trainer that `make` returns, and publish the adapter with the history of its training.

    The trainer is one of transformers' kind around a `PeftModel`, whose checkpoints are sealed.
    """
    table = job.parameters["train"]
    started = time.perf_counter()
    deterministic_mode.prepare(table)
    numerics.hold(table["seed"])
    tokenizer = load_tokenizer(job.inputs["base"])
    samples = {split: train.read_samples(job, tokenizer, split) for split in ("train", "validation")}
    trained_on = TrainingBase.of(job)
    folder = trained_on.folder if trained_on else job.inputs["base"]
    kept = job.scratch / "checkpoints"
    heard_operations.begin_anew_where_damaged(job.scratch)
    last = checkpoints.last_whole(kept)
    is_copy = trained_on is not None and trained_on.copy is not None
    trainer, watch = make(Training(folder, is_copy, tokenizer, samples, table, kept, resumed=last is not None))
    deterministic_mode.switch(table)
    try:
        with deterministic_mode.listening(job.scratch) as heard:
            train.run(trainer, last)
    finally:
        trackers.close(trainer)
    restored = train.best_is_restored(trainer)
    train.write_adapter(trainer, folder, job.output / "adapter", job.parameters.get("base", {}))
    found = train.history(trainer, restored=restored) | parameters(trainer.model)
    write_json(job.output / "history.json", {**found, "determinism": deterministic_mode.facts(table, heard)})
    measured("train.seconds", time.perf_counter() - started, "s")
    train.measure_speed(watch)


def parameters(model: Any) -> dict[str, int]:
    """Return how many parameters a `PeftModel` has. PEFT knows that packed weights are two in a byte."""
    trained, all_of_them = model.get_nb_trainable_parameters()
    return {"trainable_parameters": trained, "all_parameters": all_of_them}
