"""A very small Qwen3 with random weights, its own tokenizer and a ChatML template, made in seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.determinism import fixed_variables

PACKAGE = Path(__file__).parents[2] / "pipeline"
TERMINATOR = "<|im_end|>"
PADDING = "<|endoftext|>"
TEMPLATE = (
    "{%- for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{%- endif %}"
)
THEMES = ("節約", "転職", "子育て", "旅行", "読書", "料理", "英語", "副業", "睡眠", "写真", "登山", "猫")
PROMPT: dict[str, Any] = {
    "system": "題名を作る。",
    "user": "「{theme}」の題名を1つ。",
    "terminator": TERMINATOR,
    "enable_thinking": False,
}
TRAIN: dict[str, Any] = {
    "trainer": "trl",
    "load_in_4bit": False,
    "double_quantization": True,
    "precision": "float32",
    "attention": "sdpa",
    "epochs": 2.0,
    "batch_size": 2,
    "accumulation": 2,
    "learning_rate": 1e-3,
    "scheduler": "cosine",
    "warmup_steps": 1,
    "weight_decay": 0.01,
    "optimizer": "adamw_torch",
    "max_seq_tokens": 128,
    "eval_every_steps": 2,
    "patience_evals": 4,
    "seed": 42,
    "lora": {
        "rank": 4,
        "alpha": 8.0,
        "rslora": True,
        "dropout": 0.1,
        "targets": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    },
}
GENERATE: dict[str, Any] = {"prompts": 6, "max_new_tokens": 8, "temperature": 0.7, "top_p": 0.9, "seed": 7}


def write_base(folder: Path, seed: int = 1, context: int = 1024) -> Path:
    """Write a Hugging Face folder with random weights (2 layers, hidden size 64); return it."""
    import torch
    import transformers

    untyped: Any = transformers
    tokenizer = untyped.PreTrainedTokenizerFast(tokenizer_object=_tokenizer(), eos_token=TERMINATOR, pad_token=PADDING)
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(seed)
    config = untyped.Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    untyped.Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer() -> Any:
    """Train a byte-level tokenizer on the themes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", TERMINATOR],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([row["output"] for row in rows(60)] + [PROMPT["system"], PROMPT["user"]], trainer)
    return tokenizer


def rows(count: int, offset: int = 0) -> list[dict[str, Any]]:
    """Return prepared rows."""
    made = []
    for number in range(offset, offset + count):
        theme = THEMES[number % len(THEMES)]
        output = f"{theme}を{number % 7 + 2}日で楽しむ方法"
        made.append(
            {
                "id": f"{number:016x}",
                "source": "rows.jsonl",
                "line": number + 1,
                "category": None,
                "group": None,
                "input": {"theme": theme},
                "output": output,
            }
        )
    return made


def write_rows(path: Path, made: list[dict[str, Any]]) -> None:
    """Write JSON lines."""
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in made), encoding="utf-8"
    )


def write_data(folder: Path, train: int = 20, validation: int = 6) -> Path:
    """Write the splits that training reads; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / "train.jsonl", rows(train))
    write_rows(folder / "validation.jsonl", rows(validation, offset=train))
    return folder


def write_request(
    folder: Path, program: str, parameters: dict[str, Any], inputs: dict[str, Path], threads: int = 1
) -> Path:
    """Write a job's request below `folder` with an empty output and a scratch folder; return the request file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("output", "scratch"):
        (folder / name).mkdir(exist_ok=True)
    request = folder / "request.json"
    request.write_text(
        json.dumps(
            {
                "program": program,
                "parameters": parameters,
                "inputs": {name: str(path) for name, path in inputs.items()},
                "output": str(folder / "output"),
                "scratch": str(folder / "scratch"),
                "threads": threads,
            }
        ),
        encoding="utf-8",
    )
    return request


def start(request: Path, prefix: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """Start a job in a process of its own, numerics fixed as the executor fixes them; `prefix` runs its interpreter."""
    threads = str(json.loads(request.read_text(encoding="utf-8"))["threads"])
    environment = {
        **os.environ,
        **fixed_variables("avx2"),
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    command = [*prefix, sys.executable, "-m", "inside", str(request)]
    return subprocess.Popen(command, cwd=PACKAGE, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
