"""What llama.cpp's own tokenizer makes of texts, with the vocabulary of a GGUF file. No weights are needed.

Run on the vocabulary that preflight converts, before any training; the programs that open whole files write the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from .gguf_header import read_header
from .job import Job, JobError, progress, read_jsonl, write_json, write_jsonl
from .llama_runtime import Model, adds_bos, detokenize, end_tokens, is_special, open_model, tokenize

_ORDINARY = 1  # enum llama_token_type


def main(job: Job) -> None:
    """Write `tokens.jsonl` and `metadata.json`.

    Inputs: `gguf`, a folder with one GGUF file, and `prompts`, what preflight published (`tokens.jsonl`).
    """
    path = the_file(job.inputs["gguf"])
    keys = read_header(path).keys
    texts = read_jsonl(job.inputs["prompts"] / "tokens.jsonl")
    with open_model(path, job.threads, vocabulary_only=True) as model:
        write_jsonl(job.output / "tokens.jsonl", token_rows(model, texts, made_control(model, keys)))
        write_json(job.output / "metadata.json", metadata(model, keys))


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
