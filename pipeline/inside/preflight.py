"""Everything that can be known before training, in seconds: recipe, tokenizer, template, labels, converter.

Publishes `prompts.jsonl`, `conversations.jsonl`, `tokens.jsonl`, `parity.json`, `neutral.json` and `vocabulary.gguf`
for the later stages, and `preflight.json`, what the gates judge. Of the safetensors files only the headers are read,
and a few rows where training loads a 4-bit copy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import (
    conversations,
    neutral_text,
    parity_text,
    same_base,
    sample_checks,
    tensor_headers,
    tokenizer_facts,
    tokenizer_loading,
    training_plan,
    unanswerable,
)
from .job import Job, JobError, progress, read_jsonl, write_json, write_jsonl
from .rendering import encode
from .vendored import convert_vocabulary, load_converter

SPLITS = ("train", "test", "validation")
"""In this order; what comes after train is held out, and the parity text begins with the test split."""

_FOLDERS = re.compile(r"(?<![\w.])/(?:[^\s/'\":]+/)+")


def main(job: Job) -> None:
    """Measure, choose the prompts, cut the parity text.

    Parameters: `prompt`, `train`, `parity` (the recipe's tables), `prompts` (how many), `pre_tokenizer` (or None),
    `neutral` (source and tokens of the neutral text). Inputs: `base` (model folder), `data` (the three splits),
    `vendor` (llama.cpp's tree), `training_base` where training loads a 4-bit copy of the base, and where the recipe
    names them `neutral` (a text) and `questions` that the data do not answer.
    """
    parameters, base = job.parameters, job.inputs["base"]
    rows = read_rows(job.inputs["data"])
    progress("preflight.tokenizer", done=0, total=1)
    tokenizer = load_tokenizer(base)
    facts = {
        **setting_facts(parameters, rows),
        **model_facts(parameters, tokenizer, base, job.inputs.get("training_base")),
    }
    everything = [row for split in SPLITS for row in parity_text.in_order(rows[split])]
    findings, samples = sample_checks.check_samples(tokenizer, rules(parameters, tokenizer), everything)
    prompts = write_prompts(job, tokenizer, rows)
    answered = [line for line in prompts if line["kind"] != unanswerable.KIND]
    sample_checks.check_prompts(findings, everything, samples, answered)
    windows = write_windows(job, samples, len(rows["train"]))
    write_neutral(job, tokenizer)
    facts["vocabulary"]["largest_id"] = max(max(ids) for ids in samples)
    text = {
        "samples": findings.to_json(),
        "prompts": count_prompts(prompts, parameters["prompts"]),
        "parity": count_windows(windows, parameters["parity"]),
    }
    vocabulary = conversion(job, tokenizer.chat_template)
    write_json(job.output / "preflight.json", {**facts, **text, "converter": vocabulary})


def setting_facts(parameters: Mapping[str, Any], rows: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Return what the recipe's settings mean for this many rows."""
    counts = {split: len(rows[split]) for split in SPLITS}
    train = parameters["train"]
    return {
        "rows": counts,
        "plan": training_plan.training_plan(train, counts),
        "lora": training_plan.adapter_plan(train["lora"]),
    }


def model_facts(
    parameters: Mapping[str, Any], tokenizer: Any, base: Path, training_base: Path | None
) -> dict[str, Any]:
    """Return what the files of the base say: tokenizer, template, configuration, headers of the weights."""
    template = tokenizer_facts.chat_template(tokenizer)
    tokens = tokenizer_facts.token_facts(tokenizer, base, parameters["prompt"]["terminator"])
    return {
        "terminator": tokens,
        "eos_id": tokens["eos_id"],
        "bos_id": tokens["bos_id"],
        "pad_id": tokens["pad_id"],
        "added_at_start": tokenizer_facts.added_at_start(tokenizer),
        "template_writes_bos": tokenizer_facts.writes_bos(tokenizer, template),
        "chat_template_sha256": tokenizer_facts.template_digest(template),
        "context_tokens": tokenizer_facts.context_tokens(base),
        "vocabulary": vocabulary_sizes(tokenizer, base),
        "base": same_base.base_facts(base, training_base, load_in_4bit=parameters["train"]["load_in_4bit"]),
    }


def read_rows(data: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the prepared rows of each split. Raises `JobError` when there is nothing to train on."""
    rows = {split: read_jsonl(data / f"{split}.jsonl") for split in SPLITS}
    if not rows["train"]:
        raise JobError(
            "The train split is empty.", where="train.jsonl", advice="Give more rows, or clean less strictly."
        )
    return rows


def load_tokenizer(base: Path) -> Any:
    """Load the tokenizer of the base model. Raises `JobError` when its files do not make one."""
    try:
        return tokenizer_loading.load_tokenizer(base)
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise JobError(
            f"The tokenizer of the base model cannot be loaded: {_FOLDERS.sub('', str(error).splitlines()[0])}",
            where=", ".join(sorted(path.name for path in base.iterdir())),
            advice="The folder needs tokenizer.json (or tokenizer.model) and tokenizer_config.json.",
        ) from error


def rules(parameters: Mapping[str, Any], tokenizer: Any) -> sample_checks.Rules:
    """Return what the samples are held against. A terminator of several tokens is judged by its last."""
    prompt = parameters["prompt"]
    return sample_checks.Rules(
        prompt=prompt,
        terminator_id=encode(tokenizer, prompt["terminator"])[-1],
        special_texts=tokenizer_facts.special_texts(tokenizer),
        max_seq_tokens=parameters["train"]["max_seq_tokens"],
    )


def write_prompts(job: Job, tokenizer: Any, rows: Mapping[str, Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Choose the prompts; write prompts.jsonl, conversations.jsonl and tokens.jsonl."""
    chosen = parity_text.choose_prompts(rows, job.parameters["prompts"])
    if "questions" in job.inputs:
        special = tokenizer_facts.special_texts(tokenizer)
        asked = unanswerable.read_questions(job.inputs["questions"] / "questions.jsonl", rows, special)
        chosen += [(unanswerable.KIND, row) for row in asked]
    prompts = parity_text.prompt_rows(tokenizer, job.parameters["prompt"], chosen)
    unanswerable.check_lengths(prompts, job.parameters["train"]["max_seq_tokens"])
    write_jsonl(job.output / "prompts.jsonl", prompts)
    shapes = conversations.conversation_rows(tokenizer, job.parameters["prompt"])
    write_jsonl(job.output / "conversations.jsonl", shapes)
    spoken = [parity_text.token_row(tokenizer, "conversation", line["text"]) for line in shapes if "text" in line]
    write_jsonl(job.output / "tokens.jsonl", [*parity_text.token_rows(tokenizer, prompts), *spoken])
    return prompts


def write_windows(job: Job, samples: Sequence[Sequence[int]], trained: int) -> list[list[int]]:
    """Cut the held-out samples, those after the `trained` ones, into parity.json; return their windows.

    Where nothing is held out the forms are compared on what was trained on, and the file says so.
    """
    wanted = job.parameters["parity"]
    windows = parity_text.parity_windows(samples[trained:], wanted["tokens"], wanted["window_tokens"])
    seen = [] if windows else parity_text.parity_windows(samples, wanted["tokens"], wanted["window_tokens"])
    write_json(job.output / "parity.json", {"windows": windows} if windows else {"windows": seen, "held_out": False})
    return windows


def write_neutral(job: Job, tokenizer: Any) -> None:
    """Cut the neutral text into neutral.json, with its source."""
    asked = job.parameters["neutral"]
    texts = neutral_text.passages(asked, job.inputs.get("neutral"))
    windows = neutral_text.windows(tokenizer, tokenizer_facts.chat_template(tokenizer), texts, asked["tokens"])
    write_json(job.output / "neutral.json", {"source": asked["source"], "windows": windows})


def vocabulary_sizes(tokenizer: Any, base: Path) -> dict[str, int | None]:
    """Return the sizes that must fit: the tokenizer's, the rows of the weights, and what config.json names."""
    shapes = tensor_headers.tensor_shapes(base)
    return {
        "tokenizer": max(len(tokenizer), 1 + max(tokenizer.get_vocab().values())),
        "embedding": tensor_headers.embedding_rows(shapes),
        "output": tensor_headers.output_rows(shapes),
        "config": tokenizer_facts.configured_vocabulary(base),
    }


def count_prompts(prompts: Sequence[Mapping[str, Any]], wanted: int) -> dict[str, int]:
    """Return how many prompts of each kind there are."""
    kinds = [line["kind"] for line in prompts]
    asked = {unanswerable.KIND: kinds.count(unanswerable.KIND)} if unanswerable.KIND in kinds else {}
    return {"wanted": wanted, "unseen": kinds.count("unseen"), "seen": kinds.count("seen"), **asked}


def count_windows(windows: Sequence[Sequence[int]], wanted: Mapping[str, int]) -> dict[str, int]:
    """Return how much parity text there is, in tokens, and how much was asked for."""
    tokens = sum(len(window) for window in windows)
    return {
        "wanted": wanted["tokens"],
        "tokens": tokens,
        "windows": len(windows),
        "window_tokens": wanted["window_tokens"],
    }


def conversion(job: Job, template: str) -> dict[str, Any]:
    """Write `vocabulary.gguf` with the pinned converter; return what it holds, or why it was refused."""
    vendor, base = job.inputs["vendor"], job.inputs["base"]
    load_converter(vendor)  # a wrong tree is no finding about the model: it stops the job
    progress("preflight.vocabulary", done=0, total=1)
    try:
        found = convert_vocabulary(vendor, base, job.parameters["pre_tokenizer"], job.output / "vocabulary.gguf")
    except JobError as error:
        problem = {"what": error.what, "where": error.where, "advice": error.advice}
        return {"recognised": False, "problem": {name: _FOLDERS.sub("", text) for name, text in problem.items()}}
    same = found.pop("chat_template") == template
    return {"recognised": True, "problem": None, "same_chat_template": same, **found}
