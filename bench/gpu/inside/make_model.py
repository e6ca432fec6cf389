"""Write a model folder with random weights, rows of one length, and what conversion wants to know of an origin.

Request: `config` (config.json), `tree` (llama.cpp's), `real_tokenizer`, `prompt`, `row_tokens`, `train` and `held_out`
(rows), `seed`, `device`, `folder`. The weights are made on the device, layer by layer, and written at once.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

from bench.gpu.inside.tokenizers_of import write_tokenizer
from pipeline.inside.job import emit, write_json, write_jsonl
from pipeline.inside.rendering import sample_ids
from pipeline.inside.tokenizer_loading import load_tokenizer

WORDS = (
    "節約",
    "転職",
    "子育て",
    "旅行",
    "読書",
    "料理",
    "英語",
    "副業",
    "睡眠",
    "写真",
    "登山",
    "暮らし",
    "失敗",
    "毎日",
)
SPREAD = 0.02
"""Standard deviation of the weights: `initializer_range` of Qwen3."""
SHARD_BYTES = 4 * 10**9


def main(request: Mapping[str, Any]) -> None:
    """Write `model/`, `data/` and `origin/` below the folder."""
    folder = Path(request["folder"])
    model = folder / "model"
    model.mkdir()
    write_json(model / "config.json", request["config"])
    write_tokenizer(model, request)
    write_weights(model, request["seed"], request["device"])
    write_rows(folder / "data", load_tokenizer(model), request)
    write_origin(folder / "origin")


def write_weights(folder: Path, seed: int, device: str) -> None:
    """Write the weights as bfloat16, in files of a few gigabytes, with the index that names them."""
    generator = torch.Generator(device).manual_seed(seed)
    places: dict[str, str] = {}
    shard: dict[str, torch.Tensor] = {}
    total = number = 0
    for name, shape in [*shapes_of(folder), ("", ())]:
        size = sum(one.numel() * one.element_size() for one in shard.values())
        if shard and (not name or size > SHARD_BYTES):
            number += 1
            file = f"model-{number:05}.safetensors"
            save_file(shard, folder / file, metadata={"format": "pt"})
            places |= dict.fromkeys(shard, file)
            shard, total = {}, total + size
            emit("bench.shard", number=number, bytes=total)
        if name:
            shard[name] = weight(shape, generator, device)
    write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": places})


def shapes_of(folder: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield names and shapes of the weights, a tied table once."""
    make: Any = AutoModelForCausalLM.from_config
    with torch.device("meta"):
        model = make(AutoConfig.from_pretrained(str(folder), local_files_only=True))
    for name, parameter in model.named_parameters():
        yield name, tuple(parameter.shape)


def weight(shape: tuple[int, ...], generator: torch.Generator, device: str) -> torch.Tensor:
    """Return one weight: ones for a norm, which has one dimension."""
    if len(shape) == 1:
        return torch.ones(shape, dtype=torch.bfloat16)
    made = torch.randn(shape, generator=generator, device=device, dtype=torch.bfloat16)
    return made.mul_(SPREAD).cpu()


def write_rows(folder: Path, tokenizer: Any, request: Mapping[str, Any]) -> None:
    """Write the splits: titles of many words, so that every sample has exactly `row_tokens` tokens."""
    folder.mkdir()
    chance = random.Random(request["seed"])
    counts = {"train": request["train"], "validation": request["held_out"], "test": request["held_out"]}
    number = 0
    for split, count in counts.items():
        rows = []
        for _ in range(count):
            rows.append(row(number, chance, tokenizer, request))
            number += 1
        write_jsonl(folder / f"{split}.jsonl", rows)


def row(number: int, chance: random.Random, tokenizer: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return one prepared row. Digits, each a token of its own, fill up what words leave."""

    def filled(text: str) -> dict[str, Any]:
        return {**about, "output": text}

    def tokens(text: str) -> int:
        return len(sample_ids(tokenizer, request["prompt"], filled(text))[0])

    about = {"id": f"{number:016x}", "source": "rows.jsonl", "line": number + 1, "category": None, "group": None}
    # Of so many themes hardly two are equal: no prompt is asked twice, so equal ones would be too few.
    about["input"] = {"theme": "と".join(chance.choices(WORDS, k=4))}
    wanted, text = request["row_tokens"], "題"
    for count in (64, 16, 4, 1):  # few calls of the tokenizer: one takes a millisecond
        while tokens(longer := text + "".join(chance.choices(WORDS, k=count))) <= wanted:
            text = longer
    text += "".join(str(chance.randrange(10)) for _ in range(wanted - tokens(text)))
    if tokens(text) != wanted:
        raise ValueError(f"a row of exactly {wanted} tokens cannot be made: {tokens(text)}")
    return filled(text)


def write_origin(folder: Path) -> None:
    """Write what conversion reads about a model's origin: an adapter's file that names its base, and data files."""
    (folder / "adapter").mkdir(parents=True)
    told = {"format": "pt", "base_weights_sha256": "0" * 64}
    save_file({"none": torch.zeros(1)}, folder / "adapter" / "adapter_model.safetensors", metadata=told)
    write_json(folder / "source.json", {"files": [{"name": "rows.jsonl", "sha256": "0" * 64}]})


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
