"""Make a Hugging Face form of the model speak, and write its highest logits over parity and neutral text.

The inputs say which form: `base` alone, `base` with `adapter`, or the merged `model`; `prompts` is
what preflight published. An adapter that was trained on 4 bits is run on the base as training saw it. With the
parameter `only_scored` only the held-out prompts are answered, greedily, and no length is tried.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from . import numerics, streamed_model, weights
from .answers import asked, only_id, row
from .decoding import decode
from .job import Job, measured, progress, read_json, read_jsonl, write_json, write_jsonl
from .teacher_forcing import checks, write_logits
from .tokenizer_loading import load_tokenizer
from .training_base import TrainingBase

ROWS = 128
"""Sequences that are generated at once, at most."""


def main(job: Job) -> None:
    """Write `generations.jsonl`, `logits.npy`, `neutral-logits.npy` and `forward.json`."""
    numerics.hold(job.parameters["generate"]["seed"])
    model, folder = load(job)
    tokenizer = load_tokenizer(folder)
    terminator = job.parameters["terminator"]
    terminator = only_id(tokenizer.encode(terminator, add_special_tokens=False), terminator, "this tokenizer")
    prompts = read_jsonl(job.inputs["prompts"] / "prompts.jsonl")
    only_scored = job.parameters.get("only_scored", False)
    if only_scored:
        prompts = [prompt for prompt in prompts if prompt["kind"] != "seen"]
    rows = generations(model, tokenizer, prompts, job.parameters["generate"], terminator, greedy_alone=only_scored)
    write_jsonl(job.output / "generations.jsonl", rows)
    windows = read_json(job.inputs["prompts"] / "parity.json")["windows"]
    started = time.perf_counter()
    forward = write_logits(model, windows, job.output / "logits.npy")
    measured("verify.prompt-tokens-per-second", forward["positions"] / (time.perf_counter() - started), "tokens/s")
    neutral = read_json(job.inputs["prompts"] / "neutral.json")["windows"]
    forward["neutral"] = write_logits(model, neutral, job.output / "neutral-logits.npy")
    if not only_scored:
        forward["checks"] = checks(model, windows, [prompt["ids"] for prompt in prompts], terminator)
    write_json(job.output / "forward.json", forward)


def load(job: Job) -> tuple[Any, Path]:
    """Return the model, ready to run, and the folder of its tokenizer.

    On a CPU everything is computed in float32, whatever the weights are stored in; on a GPU in the stored type.
    """
    folder = job.inputs["model"] / "model" if "model" in job.inputs else job.inputs["base"]
    place = weights.device()
    kind = "auto" if place == "cuda" else torch.float32
    model = streamed_model.load_model(folder, kind, place, job.parameters["attention"])
    trained_on = TrainingBase.of(job)
    if trained_on is not None:
        streamed_model.as_training_saw(model, trained_on)
    if "adapter" in job.inputs:
        model = weights.load_adapter(
            model, trained_on.folder if trained_on else folder, job.inputs["adapter"] / "adapter"
        )
    return model.to(place), folder  # the adapter: the model is there


def generations(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[dict[str, Any]],
    generate: dict[str, Any],
    terminator: int,
    *,
    greedy_alone: bool = False,
) -> list[dict[str, Any]]:
    """Return the rows of `generations.jsonl`: for every prompt one greedy answer and, unless alone, a seeded sample."""
    wanted = [one for one in asked(prompts, generate) if one[1] == "greedy" or not greedy_alone]
    text_of = partial(tokenizer.decode, skip_special_tokens=False)
    started, count = time.perf_counter(), 0
    rows: list[dict[str, Any]] = []
    for start in range(0, len(wanted), ROWS):
        part = wanted[start : start + ROWS]
        written = decode(
            model,
            [prompt["ids"] for prompt, _, _ in part],
            [choose for _, _, choose in part],
            terminator,
            generate["max_new_tokens"],
        )
        count += sum(map(len, written))
        rows += [
            row(prompt, mode, ids, terminator, text_of, tokenizer.added_tokens_decoder.__contains__)
            for (prompt, mode, _), ids in zip(part, written, strict=True)
        ]
        progress("verify.generation", len(rows), len(wanted))
    measured("verify.generation-tokens-per-second", count / (time.perf_counter() - started), "tokens/s")
    return rows
