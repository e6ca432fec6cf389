"""Make a GGUF form of the model speak with llama.cpp, and write its highest logits over parity and neutral text.

Prompts come as the ids that the training tokenizer gave them, so that this measures the model alone;
what llama.cpp's own tokenizer makes of the same texts is written beside it and judged separately.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .answers import asked, only_id, row
from .block_values import compare_blocks
from .card_loading import Room, open_on_cards, tell_speed
from .gguf_decoding import SEQUENCES, decode
from .gguf_forward import ANSWER_TOKENS, CHECK_TOKENS, WINDOWS, checks, write_logits
from .gguf_header import read_header
from .job import Job, measured, read_json, read_jsonl, write_json, write_jsonl
from .llama_runtime import Model, detokenize, is_special, tokenize
from .tokenize_gguf import made_control, metadata, the_file, token_rows


def main(job: Job) -> None:
    """Write `tokens.jsonl`, `metadata.json`, `generations.jsonl`, `logits.npy`, `neutral-logits.npy`, `forward.json`.

    Inputs: `gguf`, a folder with one GGUF file, and `prompts`, what preflight published. Parameters:
    `generate` (section of the recipe) and `terminator` (the text of the token that ends an answer). With the input
    `source`, a folder with the file that it was quantized from, `blocks.json` too; the parameter `weighted` says
    whether that was by importance.
    """
    path, given = the_file(job.inputs["gguf"]), job.inputs["prompts"]
    if "source" in job.inputs:
        weighted, source = job.parameters["weighted"], the_file(job.inputs["source"])
        started = time.perf_counter()
        write_json(job.output / "blocks.json", compare_blocks(source, path, weighted=weighted, threads=job.threads))
        measured("verify.blocks", time.perf_counter() - started, "s")
    prompts = read_jsonl(given / "prompts.jsonl")
    windows, neutral = (read_json(given / f"{name}.json")["windows"] for name in ("parity", "neutral"))
    rooms = rooms_for(prompts, [*windows, *neutral], job.parameters["generate"]["max_new_tokens"])
    started = time.perf_counter()
    with open_on_cards(path, job.threads, rooms) as model:
        measured("verify.load", time.perf_counter() - started, "s")
        keys = read_header(path).keys
        texts = read_jsonl(given / "tokens.jsonl")
        write_jsonl(job.output / "tokens.jsonl", token_rows(model, texts, made_control(model, keys)))
        write_json(job.output / "metadata.json", metadata(model, keys))
        terminator = job.parameters["terminator"]
        terminator = only_id(tokenize(model, terminator), terminator, "llama.cpp")
        rows = generations(model, prompts, job.parameters["generate"], terminator)
        write_jsonl(job.output / "generations.jsonl", rows)
        tell_speed(model)
        found = forward(model, windows, prompts, terminator, job.output / "logits.npy")
        found["neutral"] = write_logits(model, neutral, job.output / "neutral-logits.npy")
        write_json(job.output / "forward.json", found)


def rooms_for(prompts: Sequence[dict[str, Any]], windows: Sequence[Sequence[int]], limit: int) -> list[Room]:
    """Return the sizes of the sessions to come, or more: answers, windows of text, checks of long prompts."""
    longest = max(len(prompt["ids"]) for prompt in prompts) + limit
    return [
        (SEQUENCES, longest),
        (WINDOWS, max(map(len, windows), default=0)),
        (1, max(CHECK_TOKENS.values()) + ANSWER_TOKENS),
    ]


def generations(
    model: Model, prompts: Sequence[dict[str, Any]], generate: dict[str, Any], terminator: int
) -> list[dict[str, Any]]:
    """Return the rows of `generations.jsonl`: for every prompt one greedy answer and one seeded sample."""
    wanted = asked(prompts, generate)
    started = time.perf_counter()
    written = decode(
        model,
        [prompt["ids"] for prompt, _, _ in wanted],
        [choose for _, _, choose in wanted],
        terminator,
        generate["max_new_tokens"],
    )
    count = sum(map(len, written))
    measured("verify.generation-tokens-per-second", count / (time.perf_counter() - started), "tokens/s")
    text_of, special = partial(detokenize, model), partial(is_special, model)
    return [
        row(prompt, mode, ids, terminator, text_of, special)
        for (prompt, mode, _), ids in zip(wanted, written, strict=True)
    ]


def forward(
    model: Model, windows: Sequence[Sequence[int]], prompts: Sequence[dict[str, Any]], terminator: int, path: Path
) -> dict[str, Any]:
    """Write the highest logits over all windows to `path`; return what `forward.json` holds."""
    started = time.perf_counter()
    found = write_logits(model, windows, path)
    measured("verify.prompt-tokens-per-second", found["positions"] / (time.perf_counter() - started), "tokens/s")
    return {**found, "checks": checks(model, windows, [prompt["ids"] for prompt in prompts], terminator)}
