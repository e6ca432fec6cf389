"""Make a Hugging Face form of the model speak, and write its logits over the parity text.

The inputs say which form: `base` alone, `base` with `adapter`, or the merged `model`; `prompts` is
what preflight published.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from . import numerics, weights
from .decoding import Choice, decode
from .job import Job, JobError, measured, progress, read_json, read_jsonl, write_json, write_jsonl
from .sampling import Sampler, greedy
from .teacher_forcing import checks, write_logits

ROWS = 128
"""Sequences that are generated at once, at most."""


def main(job: Job) -> None:
    """Write `generations.jsonl`, `logits.npy` and `forward.json`."""
    numerics.hold(job.parameters["generate"]["seed"])
    model, folder = load(job)
    tokenizer = weights.load_tokenizer(folder)
    terminator = terminator_id(tokenizer, job.parameters["terminator"])
    prompts = read_jsonl(job.inputs["prompts"] / "prompts.jsonl")
    rows = generations(model, tokenizer, prompts, job.parameters["generate"], terminator)
    write_jsonl(job.output / "generations.jsonl", rows)
    windows = read_json(job.inputs["prompts"] / "parity.json")["windows"]
    started = time.perf_counter()
    forward = write_logits(model, windows, job.output / "logits.npy")
    measured("verify.prompt-tokens-per-second", forward["positions"] / (time.perf_counter() - started), "tokens/s")
    forward["checks"] = checks(model, windows, [prompt["ids"] for prompt in prompts], terminator)
    write_json(job.output / "forward.json", forward)


def load(job: Job) -> tuple[Any, Path]:
    """Return the model, ready to run, and the folder of its tokenizer.

    On a CPU everything is computed in float32, whatever the weights are stored in; on a GPU in the stored type.
    """
    folder = job.inputs["model"] / "model" if "model" in job.inputs else job.inputs["base"]
    place = weights.device()
    model = weights.load_model(folder, "auto" if place == "cuda" else torch.float32, job.parameters["attention"])
    if "adapter" in job.inputs:
        model = weights.load_adapter(model, folder, job.inputs["adapter"] / "adapter")
    return model.to(place), folder


def terminator_id(tokenizer: Any, terminator: str) -> int:
    """Return the id of the token that ends an answer; raise `JobError` if it is not one token."""
    ids = tokenizer.encode(terminator, add_special_tokens=False)
    if len(ids) != 1:
        raise JobError(
            f"The terminator {terminator!r} is {len(ids)} tokens for this tokenizer, not one.",
            where="recipe key prompt.terminator",
            advice="Name the special token with which the chat template ends a turn.",
        )
    return int(ids[0])


def generations(
    model: Any, tokenizer: Any, prompts: Sequence[dict[str, Any]], generate: dict[str, Any], terminator: int
) -> list[dict[str, Any]]:
    """Return the rows of `generations.jsonl`: for every prompt one greedy answer and one seeded sample."""
    asked = [(prompt, mode, _choice(prompt, mode, generate)) for prompt in prompts for mode in ("greedy", "sample")]
    started = time.perf_counter()
    rows: list[dict[str, Any]] = []
    for start in range(0, len(asked), ROWS):
        part = asked[start : start + ROWS]
        written = decode(
            model,
            [prompt["ids"] for prompt, _, _ in part],
            [choose for _, _, choose in part],
            terminator,
            generate["max_new_tokens"],
        )
        rows += [
            _row(tokenizer, prompt, mode, ids, terminator) for (prompt, mode, _), ids in zip(part, written, strict=True)
        ]
        progress("verify.generation", len(rows), len(asked))
    count = sum(len(row["ids"]) for row in rows)
    measured("verify.generation-tokens-per-second", count / (time.perf_counter() - started), "tokens/s")
    return rows


def _choice(prompt: dict[str, Any], mode: str, generate: dict[str, Any]) -> Choice:
    """Return how the tokens after one prompt are chosen."""
    if mode == "greedy":
        return greedy
    return Sampler(generate["seed"], prompt["id"], generate["temperature"], generate["top_p"])


def _row(tokenizer: Any, prompt: dict[str, Any], mode: str, ids: list[int], terminator: int) -> dict[str, Any]:
    """Return one row of `generations.jsonl`; its ids and text are without the terminator."""
    stopped = ids[-1] == terminator
    answer = ids[:-1] if stopped else ids
    return {
        "id": prompt["id"],
        "kind": prompt["kind"],
        "mode": mode,
        "prompt_tokens": len(prompt["ids"]),
        "text": tokenizer.decode(answer, skip_special_tokens=False),
        "ids": answer,
        "stopped": "terminator" if stopped else "length",
        "leftover_special": any(token in tokenizer.added_tokens_decoder for token in answer),
    }
