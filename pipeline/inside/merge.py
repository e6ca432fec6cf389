"""Add the adapter to the base model's weights, and check that exactly the right tensors changed.

Publishes `model/`, a Hugging Face folder, and `merge.json`. The sum is made in float32.
"""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from . import numerics, weights
from .job import Job, JobError, measured, progress, write_json
from .tokenizer_loading import load_tokenizer

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
COPIED = re.compile(
    r"(config|generation_config|special_tokens_map|added_tokens|vocab|preprocessor_config|chat_template)\.json"
    r"|tokenizer.*\.(json|model)|.*\.jinja|merges\.txt|vocab\.txt|.*\.tiktoken|spiece\.model"
)
"""Files of a model folder that go with the weights: configuration, tokenizer, chat template."""

_TARGET = re.compile(r"base_model\.model\.(.+)\.lora_[A-Z]\.weight")


def main(job: Job) -> None:
    """Merge, write the folder, and compare it with the base tensor by tensor."""
    numerics.hold()
    started = time.perf_counter()
    base, adapter, folder = job.inputs["base"], job.inputs["adapter"] / "adapter", job.output / "model"
    wanted = job.parameters["merge"]["dtype"]
    dtype = weights.stored_dtype(base) if wanted == "base" else DTYPES[wanted]
    model = merged(base, adapter)
    rows = int(model.get_input_embeddings().weight.shape[0])
    model = model.to(dtype)
    folder.mkdir()
    write_weights(model, job.scratch / "staged", folder)
    copy_files(base, folder)
    if wanted != "base":
        name_dtype(folder, wanted)
    del model
    result = compare(base, folder, adapter, dtype)
    write_json(
        job.output / "merge.json",
        {
            **result,
            "dtype": str(dtype).removeprefix("torch."),
            "embedding_rows": rows,
            "tokenizer_size": len(load_tokenizer(folder)),
            "adapter_files_left": sorted(path.name for path in folder.rglob("adapter_*")),
        },
    )
    measured("merge.seconds", time.perf_counter() - started, "s")


def merged(base: Path, adapter: Path) -> Any:
    """Return the base model with the adapter added to its weights, in float32.

    Raises `JobError` when the adapter does not belong to this base, or the sum is not finite.
    """
    model = weights.load_adapter(weights.load_model(base, torch.float32), base, adapter)
    try:
        return model.merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise JobError(
            "The sum of base and adapter is not finite.",
            where=str(error)[:300],
            advice="Train again with a lower learning rate, and look at the training's losses and gradients.",
        ) from error


def write_weights(model: Any, staged: Path, folder: Path) -> None:
    """Write the weights to `folder` as safetensors files, sharded as the library does by default."""
    shutil.rmtree(staged, ignore_errors=True)
    model.save_pretrained(staged)
    for path in sorted(staged.iterdir()):
        if ".safetensors" in path.name:
            shutil.move(path, folder / path.name)
    shutil.rmtree(staged)


def copy_files(base: Path, folder: Path) -> None:
    """Copy configuration, tokenizer and chat template from the base, byte for byte."""
    for path in sorted(base.iterdir()):
        if path.is_file() and COPIED.fullmatch(path.name):
            shutil.copyfile(path, folder / path.name)


def name_dtype(folder: Path, dtype: str) -> None:
    """Write the stored type into config.json, which names the base's."""
    config = weights.read_config(folder)
    config["torch_dtype" if "torch_dtype" in config else "dtype"] = dtype
    write_json(folder / "config.json", config)


def compare(base: Path, folder: Path, adapter: Path, dtype: torch.dtype) -> dict[str, Any]:
    """Return what `merge.json` says of the tensors: which changed, which should have, whether all are finite.

    A tensor changed if its values differ from the base's, rounded to the stored type in the same way.
    """
    targets = target_names(adapter)
    before = tensor_files(base)
    after: set[str] = set()
    found: list[dict[str, Any]] = []
    for name, path in tensor_files(folder).items():
        tensor = read_tensor(path, name)
        original = read_tensor(before[name], name) if name in before else None
        changed = original is None or not torch.equal(original.to(dtype), tensor)
        finite = bool(torch.isfinite(tensor).all())
        found.append(
            {
                "name": name,
                "dtype": str(tensor.dtype).removeprefix("torch."),
                "shape": list(tensor.shape),
                "changed": changed,
                "target": name in targets,
                "finite": finite,
                "max_abs": float(tensor.float().abs().max()) if finite else None,
            }
        )
        after.add(name)
        progress("merge.tensor", len(found), len(before))
    return {"tensors": found, **_summary(found, set(before), after, targets)}


def _summary(found: list[dict[str, Any]], before: set[str], after: set[str], targets: set[str]) -> dict[str, Any]:
    """Return the violations, by kind, and the largest weight."""
    largest = [tensor["max_abs"] for tensor in found if tensor["max_abs"] is not None]
    return {
        "unchanged_targets": [tensor["name"] for tensor in found if tensor["target"] and not tensor["changed"]],
        "changed_others": [tensor["name"] for tensor in found if tensor["changed"] and not tensor["target"]],
        "missing": sorted((before | targets) - after),
        "added": sorted(after - before),
        "non_finite": [tensor["name"] for tensor in found if not tensor["finite"]],
        "max_abs": max(largest, default=None),
    }


def target_names(adapter: Path) -> set[str]:
    """Return the names of the base's tensors that the adapter's file says it changes."""
    matches = (_TARGET.fullmatch(name) for name in load_file(adapter / weights.ADAPTER_WEIGHTS))
    return {f"{match.group(1)}.weight" for match in matches if match}


def tensor_files(folder: Path) -> dict[str, Path]:
    """Return the file of every tensor of a model folder, by the tensor's name."""
    found: dict[str, Path] = {}
    for path in weights.weight_files(folder):
        with safe_open(path, framework="pt") as stream:
            found |= dict.fromkeys(stream.keys(), path)
    return dict(sorted(found.items()))


def read_tensor(path: Path, name: str) -> torch.Tensor:
    """Read one tensor."""
    with safe_open(path, framework="pt") as stream:
        tensor: torch.Tensor = stream.get_tensor(name)
    return tensor
