"""A stand-in for Unsloth 2026.10.7, written by hand: its functions' parameters, and plain PEFT behind them.

A folder that comes first on the path of a job makes it the `unsloth` that the job imports. It wants to be imported
first as the real one does, loads from a folder only, and knows no parameter that the real one does not pass on. What
it was asked stands in the file that `STAND_IN_CALLS` names, a JSON object a line. It packs nothing in 4 bits, and says
that it did unless `STAND_IN_HAS_NO_BITSANDBYTES`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

if os.environ.get("STAND_IN_HAS_NO_CARD"):
    raise NotImplementedError("Unsloth cannot find any torch accelerator? You need a GPU.")
_EARLY = {"transformers", "trl", "peft"} & set(sys.modules)
if _EARLY and not os.environ.get("STAND_IN_MAY_BE_LATE"):
    raise ImportError(f"imported after {sorted(_EARLY)}")
if not os.environ.get("UNSLOTH_COMPILE_LOCATION") and not os.environ.get("STAND_IN_MAY_BE_LATE"):
    raise ImportError("the folder for compiled code is not set")

PASSED_ON = {"local_files_only", "use_safetensors", "quantization_config"}
"""Of what is not a parameter of its own the real one gives these to transformers."""


def _called(name: str, arguments: dict[str, Any]) -> None:
    if path := os.environ.get("STAND_IN_CALLS"):
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"name": name, **arguments}, default=str) + "\n")


class FastLanguageModel:
    """The three functions that a training uses."""

    @staticmethod
    def from_pretrained(
        *,
        model_name: str = "unsloth/Llama-3.2-1B-Instruct",
        max_seq_length: int = 2048,
        dtype: Any = None,
        load_in_4bit: bool = True,
        load_in_8bit: bool = False,
        load_in_16bit: bool = False,
        full_finetuning: bool = False,
        token: str | None = None,
        fix_tokenizer: bool = True,
        trust_remote_code: bool = False,
        use_gradient_checkpointing: str | bool = "unsloth",
        revision: str | None = None,
        use_exact_model_name: bool = False,
        random_state: int = 3407,
        **passed_on: Any,
    ) -> tuple[Any, Any]:
        """Load a model folder, and its tokenizer as the real one leaves it."""
        _called("from_pretrained", {**locals()})
        from transformers import AutoModelForCausalLM, AutoTokenizer

        if passed_on.keys() - PASSED_ON:
            raise TypeError(f"nobody knows {sorted(passed_on.keys() - PASSED_ON)}")
        if not Path(model_name).is_dir() or not passed_on.get("local_files_only") or trust_remote_code:
            raise OSError(f"{model_name} would be fetched")
        if load_in_4bit and load_in_16bit:
            raise RuntimeError("Unsloth: Can only load in 4bit or 8bit or 16bit, not a combination!")
        untyped: Any = AutoModelForCausalLM
        model = untyped.from_pretrained(model_name, dtype=dtype, local_files_only=True, attn_implementation="sdpa")
        tokenizer = AutoTokenizer.from_pretrained(model_name, local_files_only=True)
        tokenizer.padding_side = "left"
        wanted = load_in_4bit or "quantization_config" in passed_on
        model.is_loaded_in_4bit = wanted and not os.environ.get("STAND_IN_HAS_NO_BITSANDBYTES")
        if rows := os.environ.get("STAND_IN_EMBEDDING_ROWS"):
            model.resize_token_embeddings(int(rows))
        return model, tokenizer

    @staticmethod
    def get_peft_model(
        model: Any,
        *,
        r: int = 16,
        target_modules: Any = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
        lora_alpha: float = 16,
        lora_dropout: float = 0.0,
        bias: str = "none",
        use_gradient_checkpointing: str | bool = "unsloth",
        random_state: int = 3407,
        max_seq_length: int = 2048,
        use_rslora: bool = False,
    ) -> Any:
        """Put an adapter on a model; the seed decides its first weights."""
        _called("get_peft_model", {name: value for name, value in locals().items() if name != "model"})
        from peft import LoraConfig, get_peft_model
        from transformers import set_seed

        set_seed(random_state)
        kept = [name for name in target_modules if name != os.environ.get("STAND_IN_DROPS")]
        kind: Any = LoraConfig
        config = kind(
            r=r,
            target_modules=kept,
            lora_alpha=lora_alpha,
            lora_dropout=lora_dropout,
            use_rslora=use_rslora,
            bias=bias,
            task_type="CAUSAL_LM",
        )
        return get_peft_model(model, config)

    @staticmethod
    def for_training(model: Any, *, use_gradient_checkpointing: str | bool | None = None) -> Any:
        """Switch a model to training."""
        _called("for_training", {"use_gradient_checkpointing": use_gradient_checkpointing})
        return model.train()
