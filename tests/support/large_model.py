"""Models of any size, with random weights or with none, and adapters for them: none is ever in memory whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support import tiny_model

SIZES: dict[str, int] = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
    "head_dim": 128,
}
"""A width at which a layer is much of what a process has in memory."""
LAYER_MB = 2 * (4 * 1024 * 1024 + 3 * 1024 * 4096) / 1e6
"""A layer of these sizes as it is stored, in 16 bits."""
RANK = 16
_POOL = 2**22 + 1


def write_base(folder: Path, *, random: bool, **sizes: int) -> Path:
    """Write a Qwen3 in bfloat16 with the tokenizer of `tiny_model`; `sizes` are keys of its config.json.

    Its weights are random (a few million numbers again and again), or zeros. Rows of the embeddings may be more than
    the tokenizer has tokens.
    """
    import torch

    from pipeline.inside.saved_layout import layout_of
    from pipeline.inside.tensor_stream import write_stream

    tiny_model.write_base(folder)
    (folder / "model.safetensors").unlink()
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    layers = sizes["num_hidden_layers"]
    config |= {**sizes, "dtype": "bfloat16", "max_window_layers": layers, "layer_types": ["full_attention"] * layers}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    layout = layout_of(folder)
    torch.manual_seed(1)
    pool = torch.randn(_POOL).mul_(0.02).bfloat16() if random else torch.zeros(_POOL, dtype=torch.bfloat16)

    def made(name: str) -> Any:
        shape = layout.saved[name].shape
        return pool.repeat(-(-shape.numel() // _POOL))[: shape.numel()].reshape(shape)

    write_stream(folder / "model.safetensors", layout.stored(torch.bfloat16), made)
    return folder


def write_adapter(folder: Path, base: Path, trained_on: Path | None = None) -> Path:
    """Write a random adapter for all projections of `base`, in the form that training publishes it.

    It names the weights of the folder `trained_on`, the base if not given.
    """
    import torch
    from safetensors.torch import save_file

    from pipeline.inside import weights
    from pipeline.inside.saved_layout import layout_of

    torch.manual_seed(2)
    factors = {}
    for name, shape in layout_of(base).parameters.items():
        if name.endswith("_proj.weight"):
            stem = f"base_model.model.{name.removesuffix('.weight')}"
            factors[f"{stem}.lora_A.weight"] = torch.randn(RANK, shape[1]) * 0.02
            factors[f"{stem}.lora_B.weight"] = torch.randn(shape[0], RANK) * 0.02
    (folder / "adapter").mkdir(parents=True)
    metadata = {"format": "pt", weights.BASE_DIGEST: weights.weights_digest(trained_on or base)}
    save_file(factors, folder / "adapter" / weights.ADAPTER_WEIGHTS, metadata=metadata)
    targets = sorted({name.split(".")[-3] for name in factors})
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": RANK, "bias": "none", "target_modules": targets}
    (folder / "adapter" / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder
