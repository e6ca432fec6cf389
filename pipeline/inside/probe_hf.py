"""Ask a Hugging Face model folder that nobody prepared: its own template and tokenizer, greedy answers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from . import numerics, streamed_model, weights
from .decoding import decode
from .job import Job, JobError, write_jsonl
from .probing import answer_rows, rendered, texts_to_split
from .sampling import greedy
from .tokenizer_loading import load_tokenizer

SEED = 0


def main(job: Job) -> None:
    """Write `generations.jsonl` and `tokens.jsonl`.

    Inputs: `model`, a model folder, and maybe `adapter`. Parameters: `conversations`, `max_new_tokens`.
    """
    numerics.hold(SEED)
    folder = job.inputs["model"]
    tokenizer = load_tokenizer(folder)
    split = [{"text": text, "ids": tokenizer.encode(text, add_special_tokens=False)} for text in texts_to_split()]
    write_jsonl(job.output / "tokens.jsonl", split)
    place = weights.device()
    model = streamed_model.load_model(folder, "auto" if place == "cuda" else torch.float32, place)
    if "adapter" in job.inputs:
        model = _with_adapter(model, job.inputs["adapter"])
    conversations = job.parameters["conversations"]
    bos, eos = tokenizer.bos_token or "", tokenizer.eos_token or ""
    texts = [rendered(tokenizer.chat_template, conversation, bos, eos) for conversation in conversations]
    prompts = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    if tokenizer.eos_token_id is None:
        advice = "name it in tokenizer_config.json"
        raise JobError("the tokenizer names no eos_token", where="tokenizer_config.json", advice=advice)
    terminator = int(tokenizer.eos_token_id)
    limit = job.parameters["max_new_tokens"]
    written = decode(model.to(place), prompts, [greedy] * len(prompts), terminator, limit)
    text_of = partial(tokenizer.decode, skip_special_tokens=False)
    special = tokenizer.added_tokens_decoder.__contains__
    rows = answer_rows(conversations, prompts, written, {terminator}, text_of, special)
    write_jsonl(job.output / "generations.jsonl", rows)


def _with_adapter(model: Any, folder: Path) -> Any:
    """Put an adapter of whatever origin on the model. Raises `JobError` unless its weights are safetensors."""
    if not (folder / weights.ADAPTER_WEIGHTS).is_file():
        advice = "save the adapter with safe_serialization; pickled weights are not read, they can run code"
        raise JobError("the adapter has no safetensors file", where=weights.ADAPTER_WEIGHTS, advice=advice)
    try:
        return PeftModel.from_pretrained(model, str(folder)).eval()
    except (RuntimeError, ValueError, KeyError) as error:
        advice = "name with --base the model that the adapter was trained on"
        raise JobError(f"the adapter does not fit this model: {error}", where=folder.name, advice=advice) from error
