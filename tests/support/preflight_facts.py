"""What `preflight.json` holds for a healthy model, and how its gates are run over changed measurements."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from pipeline.gates.preflight import preflight_gates
from pipeline.gates.verdict import Evidence, Verdict
from pipeline.recipe import Recipe

WEIGHT: dict[str, Any] = {
    "name": "model.layers.0.mlp.down_proj.weight",
    "relative_error": 0.092,
    "codes_differ": 0.0,
    "elements": 81920,
}
DISTANCE: dict[str, Any] = {
    "compared": 1,
    "elements": 81920,
    "relative_error": 0.092,
    "codes_differ": 0.0,
    "tensors": [WEIGHT],
    "unlike": [],
}
"""How far a sound 4-bit copy is from its base, by one of its weights."""

COPY: dict[str, Any] = {
    "quantization": "bitsandbytes",
    "settings_differ": [],
    "tokenizer_files_differ": [],
    "weights": DISTANCE,
}
"""What stands in `base.training` where training loads a sound 4-bit copy."""

HEALTHY: dict[str, Any] = {
    "rows": {"train": 1000, "validation": 120, "test": 120},
    "plan": {
        "epochs": 1.0,
        "rows_per_step": 8,
        "steps_per_epoch": 125,
        "steps": 125,
        "eval_every_steps": 5,
        "evaluations": 25,
        "patience_evals": 4,
        "learning_rate": 2e-4,
        "scheduler": "cosine",
        "warmup_steps": 5,
        "warmup_share": 0.04,
        "max_seq_tokens": 512,
    },
    "lora": {
        "rank": 32,
        "alpha": 64.0,
        "rslora": False,
        "scale": 2.0,
        "alpha_for_advised_scale": 64.0,
        "dropout": 0.0,
        "targets": ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"],
    },
    "terminator": {
        "text": "<|im_end|>",
        "ids": [151645],
        "eos_token": "<|im_end|>",
        "eos_id": 151645,
        "stop_ids": [151645, 151643],
        "config_eos_ids": [151645],
        "pad_token": "<|endoftext|>",
        "pad_id": 151643,
        "bos_id": None,
        "generation_pad_id": 151643,
    },
    "eos_id": 151645,
    "bos_id": None,
    "pad_id": 151643,
    "added_at_start": [],
    "template_writes_bos": False,
    "chat_template_sha256": "0" * 64,
    "context_tokens": 40960,
    "vocabulary": {"tokenizer": 151669, "largest_id": 151645, "embedding": 151936, "output": 151936, "config": 151936},
    "base": {"architecture": "Qwen3ForCausalLM", "quantization": None, "load_in_4bit": True, "training": None},
    "samples": {
        "samples": 1240,
        "counts": dict.fromkeys(
            (
                "terminator_unlabelled",
                "label_outside_answer",
                "answer_unlabelled",
                "input_missing",
                "prompt_prefix_differs",
                "one_pass_differs",
                "thinking_in_labels",
                "special_text",
                "loose_line_break",
                "too_long",
                "marker_not_once",
                "marker_labels_differ",
            ),
            0,
        ),
        "rows": {},
        "tokens": {"min": 40, "median": 60, "p99": 80, "max": 90},
        "prompt_tokens": {"min": 30, "median": 40, "p99": 50, "max": 55},
        "markers": {
            "instruction": "<|im_start|>user\n",
            "response": "<|im_start|>assistant\n<think>\n\n</think>\n\n",
        },
    },
    "prompts": {"wanted": 64, "unseen": 48, "seen": 16},
    "parity": {"wanted": 8192, "tokens": 8192, "windows": 32, "window_tokens": 256},
    "converter": {
        "recognised": True,
        "problem": None,
        "same_chat_template": True,
        "tokens": 151936,
        "model": "gpt2",
        "eos": 151645,
        "bos": 151643,
        "pad": 151643,
        "pre_tokenizer": {"name": "qwen2", "source": "converter", "fingerprint": None},
    },
}


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the healthy measurements with some replaced; keys like `plan.epochs`, which must exist."""
    measured = copy.deepcopy(HEALTHY)
    for key, value in changes.items():
        *path, last = key.split(".")
        place = measured
        for part in path:
            place = place[part]
        if last not in place:
            raise KeyError(key)
        place[last] = value
    return measured


def judge(folder: Path, recipe: Recipe) -> list[Verdict]:
    """Return the verdicts of all gates over the `preflight.json` in a folder."""
    evidence = Evidence(folder=folder, inputs={}, recipe=recipe)
    return [verdict for gate in preflight_gates for verdict in gate(evidence)]


def judge_changed(folder: Path, recipe: Recipe, changes: dict[str, Any]) -> list[Verdict]:
    """Write the healthy measurements with some replaced to a folder, and judge them."""
    (folder / "preflight.json").write_text(json.dumps(changed(changes)), encoding="utf-8")
    return judge(folder, recipe)
