"""Make a GGUF form of the model speak with llama.cpp, and write its highest logits over the parity text.

Prompts come as the ids that the training tokenizer gave them, so that this measures the model alone;
what llama.cpp's own tokenizer makes of the same texts is written beside it and judged separately.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path
from typing import Any

from .answers import asked, only_id, row
from .gguf_decoding import decode
from .gguf_forward import checks, write_logits
from .gguf_header import read_header
from .job import Job, JobError, measured, progress, read_json, read_jsonl, write_json, write_jsonl
from .llama_runtime import Model, adds_bos, detokenize, end_tokens, is_special, open_model, tokenize

_ORDINARY = 1  # enum llama_token_type


def main(job: Job) -> None:
    """Write `tokens.jsonl`, `metadata.json`, `generations.jsonl`, `logits.npy` and `forward.json`.

    Inputs: `gguf`, a folder with one GGUF file, and `prompts`, what preflight published. Parameters:
    `generate` (section of the recipe) and `terminator` (the text of the token that ends an answer).
    """
    path = the_file(job.inputs["gguf"])
    started = time.perf_counter()
    with open_model(path, job.threads) as model:
        measured("verify.load", time.perf_counter() - started, "s")
        keys = read_header(path).keys
        texts = read_jsonl(job.inputs["prompts"] / "tokens.jsonl")
        write_jsonl(job.output / "tokens.jsonl", token_rows(model, texts, made_control(model, keys)))
        write_json(job.output / "metadata.json", metadata(model, keys))
        terminator = job.parameters["terminator"]
        terminator = only_id(tokenize(model, terminator), terminator, "llama.cpp")
        prompts = read_jsonl(job.inputs["prompts"] / "prompts.jsonl")
        rows = generations(model, prompts, job.parameters["generate"], terminator)
        write_jsonl(job.output / "generations.jsonl", rows)
        windows = read_json(job.inputs["prompts"] / "parity.json")["windows"]
        write_json(job.output / "forward.json", forward(model, windows, prompts, terminator, job.output / "logits.npy"))


def the_file(folder: Path) -> Path:
    """Return the one GGUF file of a folder."""
    found = sorted(folder.glob("*.gguf"))
    if len(found) != 1:
        raise JobError(
            f"one GGUF file is needed, found {len(found)}",
            where=folder.name,
            advice="run the stage that makes it again",
        )
    return found[0]


def made_control(model: Model, keys: dict[str, Any]) -> set[int]:
    """Return the tokens that are ordinary in the file and control tokens to llama.cpp: `</s>` of Qwen's vocabulary.

    It goes by their text ("control-looking token ... will be overridden" in its log).
    """
    kinds = enumerate(keys.get("tokenizer.ggml.token_type", ()))
    return {token for token, kind in kinds if kind == _ORDINARY and is_special(model, token)}


def token_rows(model: Model, texts: Sequence[dict[str, Any]], made: AbstractSet[int]) -> list[dict[str, Any]]:
    """Return the rows of `tokens.jsonl`: each text with llama.cpp's ids, and whether they decode to it again.

    Where the trained tokenizer itself decodes to another text (`decoded`: a space after each special token of
    SentencePiece), that text is as good. `read_as_control` stands where one of the tokens `made` control occurs.
    """
    rows = []
    for number, line in enumerate(texts, start=1):
        text, ids = line["text"], tokenize(model, line["text"])
        same = detokenize(model, ids) in (text, line.get("decoded", text))
        mark = {"read_as_control": True} if not made.isdisjoint(ids) else {}
        rows.append({"text": text, "ids": ids, "round_trip": same, **mark})
        if number % 100 == 0 or number == len(texts):
            progress("verify.tokens", number, len(texts))
    return rows


def metadata(model: Model, keys: dict[str, Any]) -> dict[str, Any]:
    """Return the file's own keys that tokenizer and configuration must agree with.

    `stop_ids` are the tokens on which llama.cpp by itself ends a generation, `adds_bos` says whether it
    by itself puts a BOS before a text.
    """
    architecture = keys["general.architecture"]
    return {
        "architecture": architecture,
        "name": keys.get("general.name"),
        "file_type": keys.get("general.file_type"),
        "tokenizer": keys.get("tokenizer.ggml.model"),
        "pre_tokenizer": keys.get("tokenizer.ggml.pre"),
        "eos_id": keys.get("tokenizer.ggml.eos_token_id"),
        "bos_id": keys.get("tokenizer.ggml.bos_token_id"),
        "pad_id": keys.get("tokenizer.ggml.padding_token_id"),
        "adds_bos": adds_bos(model),
        "stop_ids": end_tokens(model),
        "chat_template": keys.get("tokenizer.chat_template"),
        "context_length": keys.get(f"{architecture}.context_length"),
        "vocabulary": len(keys.get("tokenizer.ggml.tokens", ())),
    }


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
