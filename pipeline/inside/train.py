"""Supervised fine-tuning of an adapter on the assistant's turns, the same bytes every time.

Publishes `adapter/` and `history.json`. An interrupted run goes on from its last whole checkpoint and
ends with the bytes that an uninterrupted one gives.
"""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import TrainerState

from . import checkpoints, fine_tuning, numerics, rendering, trackers, weights
from .job import Job, JobError, measured, read_json, read_jsonl, write_json
from .tokenizer_loading import load_tokenizer
from .training_base import PRECISIONS, TrainingBase


def main(job: Job) -> None:
    """Train, restore the best checkpoint, and write the adapter with the history of its training."""
    train = job.parameters["train"]
    refuse_what_needs_the_image(train)
    started = time.perf_counter()
    numerics.hold(train["seed"])
    base = job.inputs["base"]
    tokenizer = load_tokenizer(base)
    samples = {split: read_samples(job, tokenizer, split) for split in ("train", "validation")}
    model = weights.load_model(base, PRECISIONS[train["precision"]], train["attention"])
    trained_on = TrainingBase.of(job)
    if trained_on is not None:
        trained_on.put_into(model)
    folder = job.scratch / "checkpoints"
    last = checkpoints.last_whole(folder)
    trainer, watch = fine_tuning.build(model, tokenizer, samples, train, folder, resumed=last is not None)
    try:
        run(trainer, last)
    finally:
        trackers.close(trainer)
    restored = best_is_restored(trainer)
    trained_folder = trained_on.folder if trained_on else base
    write_adapter(trainer, trained_folder, job.output / "adapter", job.parameters.get("base", {}))
    write_json(job.output / "history.json", history(trainer, restored=restored))
    measured("train.seconds", time.perf_counter() - started, "s")
    measure_speed(watch)


def refuse_what_needs_the_image(train: dict[str, Any]) -> None:
    """Raise `JobError` for settings that only the GPU training image can serve."""
    asked = {
        'trainer = "unsloth"': train["trainer"] == "unsloth",
        'optimizer = "adamw_8bit"': train["optimizer"] == "adamw_8bit",
    }
    needs = [setting for setting, wanted in asked.items() if wanted]
    if needs:
        raise JobError(
            f"{' and '.join(needs)} needs the training image with a CUDA GPU; this environment has neither Unsloth"
            " nor bitsandbytes.",
            where="recipe table [train]",
            advice='Run it in the training image, or set trainer = "trl", optimizer = "adamw_torch" to train here.',
        )


def read_samples(job: Job, tokenizer: Any, split: str) -> list[fine_tuning.Sample]:
    """Return the samples of a split; raise `JobError` if one would have to be cut, or there is nothing to learn from.

    Without validation samples the run is blind: gates of preflight and of the training say so and fail, and who
    waives them gets what he asked for.
    """
    limit = job.parameters["train"]["max_seq_tokens"]
    samples = []
    for row in read_jsonl(job.inputs["data"] / f"{split}.jsonl"):
        ids, mask = rendering.sample_ids(tokenizer, job.parameters["prompt"], row)
        if len(ids) > limit:
            raise JobError(
                f"A sample has {len(ids)} tokens, more than max_seq_tokens = {limit}: it would be cut before its end.",
                where=f"{split}.jsonl, row {row['id']} ({row['source']}, line {row['line']})",
                advice=f"Raise train.max_seq_tokens to {len(ids)} or more, or drop long rows with clean.max_chars.",
            )
        samples.append((ids, mask))
    if not samples and split == "train":
        raise JobError("The train split is empty.", where="train.jsonl", advice="Give more rows: nothing is learned.")
    return samples


def run(trainer: Any, last: Path | None) -> None:
    """Train to the end, from checkpoint `last` if there is one."""
    if last is None:
        trainer.train()
        return
    checkpoints.move_here(last)
    state = read_json(last / checkpoints.STATE)
    if fine_tuning.had_stopped(state):
        trainer.state = TrainerState.load_from_json(str(last / checkpoints.STATE))
        trainer.model.load_adapter(state["best_model_checkpoint"], fine_tuning.ADAPTER)
        return
    trainer.train(resume_from_checkpoint=str(last))


def best_is_restored(trainer: Any) -> bool:
    """Compare the model's adapter with the best checkpoint's file, tensor by tensor."""
    best = trainer.state.best_model_checkpoint
    if best is None:
        return False
    stored = load_file(Path(best) / weights.ADAPTER_WEIGHTS)
    return not weights.different_tensors(stored, weights.adapter_tensors(trainer.model))


def write_adapter(trainer: Any, base: Path, folder: Path, named: dict[str, Any]) -> None:
    """Write the adapter: weights that carry the digest of their base, and a configuration without paths.

    `named` may hold `repo` and `revision` of a base from the hub.
    """
    folder.mkdir()
    metadata = {"format": "pt", weights.BASE_DIGEST: weights.weights_digest(base)}
    weights.write_tensors(folder / weights.ADAPTER_WEIGHTS, weights.adapter_tensors(trainer.model), metadata)
    config = trainer.model.peft_config[fine_tuning.ADAPTER].to_dict()
    config["inference_mode"] = True
    config["base_model_name_or_path"] = named.get("repo")
    config["revision"] = named.get("revision")
    plain = json.loads(json.dumps(config, default=_plain))
    write_json(folder / "adapter_config.json", plain)


def _plain(value: Any) -> Any:
    """Turn the sets and enumerations of a configuration into JSON values."""
    return sorted(value) if isinstance(value, (set, frozenset)) else value.value


def history(trainer: Any, *, restored: bool) -> dict[str, Any]:
    """Return what happened, from the trainer's own log."""
    state = trainer.state
    evaluations = [entry for entry in state.log_history if fine_tuning.METRIC in entry]
    after = [{"step": entry["step"], "loss": entry[fine_tuning.METRIC]} for entry in evaluations if entry["step"] > 0]
    counts = [(parameter.numel(), parameter.requires_grad) for parameter in trainer.model.parameters()]
    armed = fine_tuning.early_stopping(trainer) is not None and trainer.args.load_best_model_at_end
    return {
        "train": [_step(entry) for entry in state.log_history if "loss" in entry],
        "evaluations": after,
        "initial_validation_loss": evaluations[0][fine_tuning.METRIC] if evaluations else None,
        "best_step": state.best_global_step,
        "best_validation_loss": state.best_metric,
        "steps": state.global_step,
        "planned_steps": state.max_steps,
        "stopped_early": fine_tuning.had_stopped(vars(state)) and state.global_step < state.max_steps,
        "early_stopping_armed": bool(armed and after),
        "best_restored": restored,
        "trainable_parameters": sum(size for size, trained in counts if trained),
        "all_parameters": sum(size for size, _ in counts),
    }


def _step(entry: dict[str, Any]) -> dict[str, Any]:
    """Return one training step of the log; its numbers were checked to be finite when it was made."""
    return {name: entry[name] for name in ("step", "loss", "learning_rate", "grad_norm")}


def measure_speed(watch: fine_tuning.Watch) -> None:
    """Report tokens per second inside this session's steps, and the peak memory."""
    if watch.seconds_in_steps:
        measured("train.tokens-per-second", watch.tokens_seen / watch.seconds_in_steps, "tokens/s")
        measured("train.seconds-in-steps", watch.seconds_in_steps, "s")
    measured("train.peak-memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "bytes")
    if torch.cuda.is_available():
        measured("train.peak-gpu-memory", torch.cuda.max_memory_allocated(), "bytes")
