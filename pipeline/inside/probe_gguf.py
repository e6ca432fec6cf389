"""Ask a GGUF file that nobody prepared: its own template, its own tokenizer, greedy answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from .card_loading import open_on_cards
from .gguf_decoding import decode
from .gguf_header import read_header
from .job import Job, write_json, write_jsonl
from .llama_runtime import Model, detokenize, is_special, tokenize
from .probing import answer_rows, rendered, texts_to_split
from .sampling import greedy
from .tokenize_gguf import made_control, metadata, the_file, token_rows

_TEMPLATE_TOKENS = 256
"""What a chat template writes around a few turns, and more."""


def main(job: Job) -> None:
    """Write `generations.jsonl`, `tokens.jsonl` and `metadata.json`.

    Input: `gguf`, a folder with one file. Parameters: `conversations` and `max_new_tokens`.
    """
    path = the_file(job.inputs["gguf"])
    conversations, limit = job.parameters["conversations"], job.parameters["max_new_tokens"]
    with open_on_cards(path, job.threads, [(len(conversations), _most_tokens(conversations) + limit)]) as model:
        keys = read_header(path).keys
        known = metadata(model, keys)
        write_json(job.output / "metadata.json", known)
        texts = [{"text": text} for text in texts_to_split()]
        write_jsonl(job.output / "tokens.jsonl", token_rows(model, texts, made_control(model, keys)))
        bos, eos = (_token_text(model, known[key]) for key in ("bos_id", "eos_id"))
        asked = [rendered(known["chat_template"], conversation, bos, eos) for conversation in conversations]
        prompts = [_ids(model, text, known, bos) for text in asked]
        terminator = known["eos_id"] if known["eos_id"] is not None else next(iter(known["stop_ids"]), -1)
        choices = [greedy] * len(prompts)
        written = decode(model, prompts, choices, terminator, limit)
        ends = {terminator, *known["stop_ids"]}
        text_of, special = partial(detokenize, model), partial(is_special, model)
        cut = [_up_to(ids, ends) for ids in written]
        write_jsonl(job.output / "generations.jsonl", answer_rows(conversations, prompts, cut, ends, text_of, special))


def _most_tokens(conversations: Sequence[Sequence[Mapping[str, str]]]) -> int:
    """Return more tokens than the longest conversation can have: one for each byte, and what a template writes."""
    return _TEMPLATE_TOKENS + max(sum(len(turn["content"].encode()) for turn in turns) for turns in conversations)


def _ids(model: Model, text: str, known: dict[str, Any], bos: str) -> list[int]:
    """Return a prompt's ids; where llama.cpp adds a BOS by itself and the template wrote none, it comes in front."""
    ids = tokenize(model, text)
    wanted = known["adds_bos"] and known["bos_id"] is not None
    return [known["bos_id"], *ids] if wanted and not (bos and text.startswith(bos)) else ids


def _token_text(model: Model, token: int | None) -> str:
    return "" if token is None else detokenize(model, [token])


def _up_to(ids: list[int], ends: set[int]) -> list[int]:
    """Cut after the first token on which llama.cpp ends by itself."""
    for place, token in enumerate(ids):
        if token in ends:
            return ids[: place + 1]
    return ids
