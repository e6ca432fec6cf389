"""How much memory a merge takes: its largest tensor says so, and not how many layers the model has."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import large_model, peak_memory, tiny_model

pytestmark = pytest.mark.slow


def peak_mb(folder: Path, layers: int) -> float:
    """Merge a model of so many layers in a process of its own; return the most memory that it had."""
    base = large_model.write_base(folder / "base", random=False, num_hidden_layers=layers, **large_model.SIZES)
    adapter = large_model.write_adapter(folder / "trained", base)
    inputs = {"base": base, "adapter": adapter}
    request = tiny_model.write_request(folder / "job", "merge", {"merge": {"dtype": "bfloat16"}}, inputs)
    process = tiny_model.start(request, peak_memory.watched(folder / "peak"))
    _, said = process.communicate()
    assert process.returncode == 0, said.decode()[-3000:]
    assert (
        folder / "job" / "output" / "model" / "model.safetensors"
    ).stat().st_size > layers * large_model.LAYER_MB * 1e6
    return peak_memory.peak_mb(folder / "peak")


def test_peak_memory_does_not_grow_with_the_number_of_layers(tmp_path: Path) -> None:
    """Eleven more layers are 369 MB in the file and 738 MB in float32. Held at once, they would all be seen.

    What is counted has pages of the mapped files in it, some tens of MB more or less: half of the file is the limit.
    """
    few, many = (peak_mb(tmp_path / str(layers), layers) for layers in (1, 12))
    assert many - few < 11 * large_model.LAYER_MB / 2
