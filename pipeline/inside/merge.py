"""Add the adapter to the base model's weights, and check that exactly the right tensors changed.

Publishes `model/`, a Hugging Face folder, and `merge.json`. The sum is made in float32. Where training loaded 4 bits
there are two merges: on the base's own weights, and on those that training saw. Both are made and measured, and the
closer to the adapter as it was trained is published (`merge_choice.py`), unless the recipe names one.

No model is loaded: tensors go from the base's files to the merged ones, one after the other, so that the largest of
them, and not their number, says how much memory it takes. The files are those that PEFT and transformers write of a
model in memory, byte for byte.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from . import adapter_sum, base_distance, merge_choice, numerics, weights
from .job import Job, measured, progress, write_json
from .merged_tensors import MergedTensors
from .saved_layout import INDEX, Layout, layout_of
from .tensor_files import read_tensor, tensor_files, weight_files
from .tensor_stream import pieces, write_stream
from .tokenizer_loading import load_tokenizer
from .training_base import TrainingBase

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
COPIED = re.compile(
    r"(config|generation_config|special_tokens_map|added_tokens|vocab|preprocessor_config|chat_template)\.json"
    r"|tokenizer.*\.(json|model)|.*\.jinja|merges\.txt|vocab\.txt|.*\.tiktoken|spiece\.model"
)
"""Files of a model folder that go with the weights: configuration, tokenizer, chat template."""


def main(job: Job) -> None:
    """Merge, write the folder, and compare it with the base tensor by tensor."""
    numerics.hold()
    started = time.perf_counter()
    base, adapter, folder = job.inputs["base"], job.inputs["adapter"] / "adapter", job.output / "model"
    trained_on = TrainingBase.of(job)
    weights.check_adapter_base(trained_on.folder if trained_on else base, adapter)
    merged_into: TrainingBase | None = None
    choice: dict[str, Any] = {}
    if trained_on is None:
        rows = write_merged(job, folder)
    else:
        rows, choice = write_closer(job, folder, trained_on)
        merged_into = trained_on if choice["kept"] == merge_choice.AWARE else None
    dtype = stored_type(job)
    result = compare(base, folder, adapter, dtype, merged_into)
    if choice:
        result["four_bit"] = choice
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


def write_closer(job: Job, folder: Path, trained_on: TrainingBase) -> tuple[int, dict[str, Any]]:
    """Make and measure both merges, and publish one in `folder`; return its embedding rows and what was found.

    Of a 4-bit copy the distance from the base is measured too, weight by weight.
    """
    # Beside what is published, to be renamed: a container's scratch is another mount, out of which it would be copied.
    made = {name: job.output / name for name in merge_choice.MERGES}
    rows = 0
    for name, place in made.items():
        rows = write_merged(job, place, trained_on if name == merge_choice.AWARE else None)
    found = merge_choice.chosen(job, trained_on, made)
    made.pop(found["kept"]).rename(folder)
    for place in made.values():
        shutil.rmtree(place)
    if trained_on.copy is not None:
        found["base_distance"] = base_distance.whole(job.inputs["base"], trained_on.copy)
    return rows, found


def write_merged(job: Job, folder: Path, trained_on: TrainingBase | None = None) -> int:
    """Write a new model folder: the base (or what training saw of it) with the adapter; return its embedding rows."""
    base, wanted = job.inputs["base"], job.parameters["merge"]["dtype"]
    layout = layout_of(base)
    read = MergedTensors.of(base, job.inputs["adapter"] / "adapter", layout, trained_on).read
    folder.mkdir()
    write_weights(layout, stored_type(job), read, folder)
    copy_files(base, folder)
    if wanted != "base":
        name_dtype(folder, wanted)
    return layout.embedding_rows


def stored_type(job: Job) -> torch.dtype:
    """Return the type of the merged weights: the recipe's, or the one that the base is stored in."""
    wanted = job.parameters["merge"]["dtype"]
    return weights.stored_dtype(job.inputs["base"]) if wanted == "base" else DTYPES[wanted]


def write_weights(layout: Layout, dtype: torch.dtype, read: Callable[[str], torch.Tensor], folder: Path) -> None:
    """Write the weights to `folder` as safetensors files, and as many, as the library makes of the whole model."""
    stored = layout.stored(dtype)
    written = 0

    def told(name: str) -> torch.Tensor:
        nonlocal written
        written += 1
        progress("merge.write", written, len(stored))
        return read(name)

    for file, names in layout.files(dtype).items():
        write_stream(folder / file, {name: stored[name] for name in names}, told)
    index = layout.index(dtype)
    if index is not None:
        (folder / INDEX).write_text(index, encoding="utf-8", newline="\n")


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


def compare(
    base: Path, folder: Path, adapter: Path, dtype: torch.dtype, trained_on: TrainingBase | None = None
) -> dict[str, Any]:
    """Return what `merge.json` says of the tensors: which changed, which should have, whether all are finite.

    A tensor changed if its values differ from the base's (from what training saw of it, where that was merged into),
    rounded to the stored type in the same way.
    """
    targets = set(adapter_sum.read_adapter(adapter).factors)
    before = tensor_files(base)
    after: set[str] = set()
    found: list[dict[str, Any]] = []
    for name, tensor in written_tensors(folder):
        original = read_tensor(before[name], name) if name in before else None
        if trained_on is not None and original is not None:
            original = trained_on.seen(name, original)
        changed = original is None or not _equal(original, tensor, dtype)
        finite = all(bool(torch.isfinite(piece).all()) for piece in pieces(tensor))
        found.append(
            {
                "name": name,
                "dtype": str(tensor.dtype).removeprefix("torch."),
                "shape": list(tensor.shape),
                "changed": changed,
                "target": name in targets,
                "finite": finite,
                "max_abs": max(float(piece.float().abs().max()) for piece in pieces(tensor)) if finite else None,
            }
        )
        after.add(name)
        progress("merge.tensor", len(found), len(before))
    return {"tensors": found, **_summary(found, set(before), after, targets)}


def written_tensors(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield name and tensor of the merged files, sorted by name, one at a time.

    They are read, not mapped: the whole model may be one file, and Linux refuses to map a file for writing, as the
    library does, that is larger than its memory.
    """
    with ExitStack() as stack:
        found: dict[str, Any] = {}
        for path in weight_files(folder):
            stream: Any = stack.enter_context(safe_open(path, framework="pt", backend="pread"))
            found |= dict.fromkeys(stream.keys(), stream)
        for name in sorted(found):
            yield name, found[name].get_tensor(name)


def _equal(original: torch.Tensor, tensor: torch.Tensor, dtype: torch.dtype) -> bool:
    """Say whether a tensor is the original in the stored type."""
    if original.shape != tensor.shape:
        return False
    return all(torch.equal(one.to(dtype), other) for one, other in zip(pieces(original), pieces(tensor), strict=True))


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
