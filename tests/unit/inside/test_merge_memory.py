"""How much memory a merge takes: its largest tensor or layer says so, and not how many layers the model has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import four_bit_merge, large_model, peak_memory, tiny_model

pytestmark = pytest.mark.slow

FEW, MANY = 1, 12
PLAIN: dict[str, Any] = {"merge": {"dtype": "bfloat16"}}


def peak_mb(folder: Path, layers: int, parameters: dict[str, Any]) -> float:
    """Merge a model of so many layers in a process of its own; return the most memory that it had."""
    base = large_model.write_base(folder / "base", random=True, num_hidden_layers=layers, **large_model.SIZES)
    inputs = {"base": base, "adapter": large_model.write_adapter(folder / "trained", base)}
    if "train" in parameters:
        vocabulary = json.loads((base / "config.json").read_text(encoding="utf-8"))["vocab_size"]
        inputs |= four_bit_merge.write_inputs(folder, vocabulary)
    request = tiny_model.write_request(folder / "job", "merge", parameters, inputs)
    process = tiny_model.start(request, peak_memory.watched(folder / "peak"))
    _, said = process.communicate()
    assert process.returncode == 0, said.decode()[-3000:]
    written = folder / "job" / "output" / "model" / "model.safetensors"
    assert written.stat().st_size > layers * large_model.LAYER_MB * 1e6
    return peak_memory.peak_mb(folder / "peak")


def growth_mb(folder: Path, parameters: dict[str, Any]) -> float:
    """Return by how much the peak rises from few layers to many: 369 MB more in the file, 738 MB in float32."""
    few, many = (peak_mb(folder / str(layers), layers, parameters) for layers in (FEW, MANY))
    return many - few


def test_peak_memory_does_not_grow_with_the_number_of_layers(tmp_path: Path) -> None:
    """Held at once, eleven more layers would all be seen. Half of what they are in the file is the limit."""
    assert growth_mb(tmp_path, PLAIN) < (MANY - FEW) * large_model.LAYER_MB / 2


def test_nor_does_that_of_two_merges_that_are_measured(tmp_path: Path) -> None:
    """After a training on 4 bits: both forms are made, three models are asked on the processor, in float32.

    Half of what the layers are there is the limit: 190 MB of 738 were measured, the adapter and what the allocator
    keeps of small pieces.
    """
    assert growth_mb(tmp_path, four_bit_merge.parameters()) < (MANY - FEW) * large_model.LAYER_MB
    found = json.loads((tmp_path / str(MANY) / "job" / "output" / "merge.json").read_text(encoding="utf-8"))
    assert sorted(found["four_bit"]["merges"]) == ["plain", "quantization-aware"]
