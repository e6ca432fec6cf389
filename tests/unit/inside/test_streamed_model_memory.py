"""How much main memory loading takes: the tensors on their way to a device, or on the CPU the model, once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import large_model, peak_memory

pytestmark = pytest.mark.slow

FEW, MANY = 1, 12

LOAD = """
import sys
from pathlib import Path
import torch
from pipeline.inside import streamed_model
folder, kind, place = sys.argv[1:]
model = streamed_model.load_model(Path(folder), kind if kind == "auto" else getattr(torch, kind), place)
assert {one.device.type for one in model.parameters()} == {place}
assert all(bool(one.any()) for one in model.parameters() if place == "cpu")  # every page was touched
"""


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Models in bfloat16 that differ in nothing but the number of their layers."""
    folder = tmp_path_factory.mktemp("bases")
    return {
        layers: large_model.write_base(folder / str(layers), random=True, num_hidden_layers=layers, **large_model.SIZES)
        for layers in (FEW, MANY)
    }


def growth_mb(folder: Path, bases: dict[int, Path], kind: str, place: str) -> float:
    """Return by how much the peak of a process that loads rises from the model of few layers to that of many."""
    peaks = []
    for layers in (FEW, MANY):
        command = [sys.executable, "-c", LOAD, str(bases[layers]), kind, place]
        subprocess.run([*peak_memory.watched(folder / "peak"), *command], check=True, cwd=Path(__file__).parents[3])
        peaks.append(peak_memory.peak_mb(folder / "peak"))
    return peaks[1] - peaks[0]


def test_what_goes_to_a_device_does_not_stay_in_main_memory(tmp_path: Path, bases: dict[int, Path]) -> None:
    """The device `meta` keeps nothing, so that all memory is that of the loading.

    Eleven more layers are 369 MB in the files, and 738 MB in float32, which they become on their way. What was let go
    may not have been given back yet: a quarter of the file is the limit.
    """
    assert growth_mb(tmp_path, bases, "float32", "meta") < (MANY - FEW) * large_model.LAYER_MB / 4


def test_on_the_cpu_the_model_is_held_once(tmp_path: Path, bases: dict[int, Path]) -> None:
    """Eleven more layers are 738 MB in float32. The pages of their file, another 369 MB, are not kept beside them."""
    once = 2 * (MANY - FEW) * large_model.LAYER_MB
    assert once * 0.9 < growth_mb(tmp_path, bases, "float32", "cpu") < once + (MANY - FEW) * large_model.LAYER_MB / 4
