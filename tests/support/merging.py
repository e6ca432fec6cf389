"""Adapters with random factors, merged by the stage's own program, and by the library in memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support import tiny_model


def write_adapter(folder: Path, base: Path, size: float = 0.02, targets: Sequence[str] | None = None) -> Path:
    """Write a random adapter for `base` as training publishes it; `targets` in place of all projections."""
    import torch
    from peft import get_peft_model
    from safetensors.torch import save_file

    from pipeline.inside import fine_tuning, weights
    from pipeline.inside.job import write_json

    torch.manual_seed(5)
    lora = fine_tuning.lora(tiny_model.TRAIN)
    if targets is not None:
        lora.target_modules = sorted(targets)
    model = get_peft_model(weights.load_model(base, torch.float32), lora)
    tensors = {name: torch.randn_like(tensor) * size for name, tensor in weights.adapter_tensors(model).items()}
    (folder / "adapter").mkdir(parents=True)
    metadata = {"format": "pt", weights.BASE_DIGEST: weights.weights_digest(base)}
    save_file(tensors, folder / "adapter" / weights.ADAPTER_WEIGHTS, metadata=metadata)
    config = {**model.peft_config["default"].to_dict(), "base_model_name_or_path": None}
    write_json(folder / "adapter" / "adapter_config.json", json.loads(json.dumps(config, default=_plain)))
    return folder


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, set) else str(value)


def merge_here(folder: Path, base: Path, trained: Path, dtype: str = "base") -> dict[str, Any]:
    """Run a merge job in this process; return `merge.json`."""
    from pipeline.inside import merge
    from pipeline.inside.job import Job

    for name in ("output", "scratch"):
        (folder / name).mkdir(parents=True)
    inputs = {"base": base, "adapter": trained}
    merge.main(Job("merge", {"merge": {"dtype": dtype}}, inputs, folder / "output", folder / "scratch", 1))
    result: dict[str, Any] = json.loads((folder / "output" / "merge.json").read_text())
    return result


def merge_in_memory(
    folder: Path, base: Path, trained: Path, dtype: Any, shard_size: int | str = "50GB", trained_on: Any = None
) -> Path:
    """Merge as the libraries do: the whole model in float32, PEFT's sum, `save_pretrained`. Return the folder."""
    import torch
    from peft import PeftModel

    from pipeline.inside import weights

    model = weights.load_model(base, torch.float32)
    if trained_on is not None:
        trained_on.put_into(model)
    tuned: Any = PeftModel.from_pretrained(model, str(trained / "adapter"), autocast_adapter_dtype=False)
    tuned.merge_and_unload(safe_merge=True).to(dtype).save_pretrained(folder, max_shard_size=shard_size)
    return folder
