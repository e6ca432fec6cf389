"""Small bases of several kinds: tied embeddings, an output layer of its own in 16 bits, a mixture of experts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support import tiny_model
from tests.support.gguf_file import write_merged

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")


def write_llama(folder: Path) -> Path:
    """Write a Llama whose output layer is its own, with three tokens added and rows made for them."""
    import torch
    import transformers

    base = tiny_model.write_base(folder)
    untyped: Any = transformers
    tokenizer = untyped.AutoTokenizer.from_pretrained(base)
    torch.manual_seed(3)
    model = untyped.LlamaForCausalLM(
        untyped.LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=11,  # so that layer 10 sorts before layer 2 as text, and after it as a number
            num_attention_heads=4,
            num_key_value_heads=2,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    tokenizer.add_tokens(["<|tag|>", "<|note|>", "<|end of note|>"])
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    for path in base.iterdir():
        path.unlink()
    model.bfloat16().save_pretrained(base)
    tokenizer.save_pretrained(base)
    return base


def write_mixture(folder: Path) -> Path:
    """Write a mixture of four experts, which the library holds in one tensor and stores in four."""
    return write_merged(folder, hidden=64, experts=4) / "model"


BASES: dict[str, tuple[Callable[[Path], Path], tuple[str, ...] | None]] = {
    "tied": (tiny_model.write_base, None),
    "llama": (write_llama, None),
    "mixture": (write_mixture, ATTENTION),
}
"""Name → what writes the base, and what its adapter changes: all projections, or these."""
