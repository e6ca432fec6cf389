"""A base model stored in 4 bits as bitsandbytes writes it to safetensors, made by hand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

Edit = Callable[[str, Any], Any]


def made_weight(rows: int, columns: int) -> Any:
    """Return a weight of exact numbers, nearly normal and the same everywhere: sums of four 16-bit integers / 2^18."""
    import torch

    counted = torch.arange(4 * rows * columns, dtype=torch.int64)
    scattered = ((counted * 2654435761 + 12345) % 2**32) >> 16
    return ((scattered.reshape(-1, 4).sum(1) - 2**17).float() / 2**18).reshape(rows, columns)


def write_copy(base: Path, folder: Path, *, double: bool = True, edit: Edit | None = None) -> Path:
    """Write a copy of a model folder whose projections are stored in NF4; `edit` changes each of them before."""
    import torch
    from safetensors.torch import load_file, save_file

    folder.mkdir(parents=True, exist_ok=True)
    for path in base.iterdir():
        if path.is_file() and path.suffix != ".safetensors":
            shutil.copyfile(path, folder / path.name)
    stored: dict[str, Any] = {}
    for path in sorted(base.glob("*.safetensors")):
        for name, tensor in load_file(path).items():
            if name.endswith("_proj.weight"):
                exact = tensor if edit is None else edit(name, tensor)
                stored |= {f"{name}{ending}": one for ending, one in packed(exact, double=double).items()}
            else:
                stored[name] = tensor.clone()
    save_file({name: torch.as_tensor(one).contiguous() for name, one in stored.items()}, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def packed(weight: Any, *, double: bool) -> dict[str, Any]:
    """Return ending → tensor of one weight's entries. bitsandbytes 0.50.2 names and shapes them so."""
    import torch

    from pipeline.inside import nf4

    codes, scales = nf4.quantize(weight)
    state: dict[str, Any] = {
        "quant_type": "nf4",
        "blocksize": 64,
        "dtype": str(weight.dtype).removeprefix("torch."),
        "shape": list(weight.shape),
    }
    found = {"": ((codes[::2] << 4) | codes[1::2])[:, None], ".quant_map": nf4.levels(), ".absmax": scales}
    if double:
        offset = scales.mean()
        eight, second = nf4.quantize_scales(scales - offset)
        state |= {"nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": offset.item()}
        found |= {".absmax": eight, ".nested_absmax": second, ".nested_quant_map": nf4.dynamic_levels()}
    text = json.dumps(state).encode()
    return {**found, ".quant_state.bitsandbytes__nf4": torch.tensor(list(text), dtype=torch.uint8)}
