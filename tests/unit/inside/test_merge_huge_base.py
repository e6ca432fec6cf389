"""A merge of a base in one file that is larger than memory and swap: all that it does with the base's file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside.job import Job
from tests.support import tiny_model
from tests.support.four_bit import write_copy
from tests.support.huge_file import write_huge
from tests.support.merging import write_adapter


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small base."""
    return tiny_model.write_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def huge(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    """The same, its tensors behind a hole that is larger than the memory."""
    from safetensors.torch import load_file

    folder = tmp_path_factory.mktemp("huge")
    shutil.copytree(base, folder, dirs_exist_ok=True)
    (folder / "model.safetensors").unlink()
    write_huge(folder / "model.safetensors", load_file(base / "model.safetensors"))
    return folder


def job(folder: Path, base: Path, adapter: Path) -> Job:
    """A merge that stores weights as the base does, which its file has to say."""
    return Job("merge", {"merge": {"dtype": "base"}}, {"base": base, "adapter": adapter}, folder, folder, 1)


@pytest.mark.parametrize("rounded", [False, True])
def test_the_merge_has_the_bytes_of_that_of_a_small_file(tmp_path: Path, base: Path, huge: Path, rounded: bool) -> None:  # noqa: FBT001 - a parameter
    """Onto the base's own weights, and onto those that training saw; the type is asked of the file."""
    import torch

    from pipeline.inside import merge, weights
    from pipeline.inside.training_base import TrainingBase

    adapter = write_adapter(tmp_path / "trained", base)
    assert weights.stored_dtype(huge) == torch.float32
    for name, folder in (("small", base), ("huge", huge)):
        seen = TrainingBase(folder, None, double=True, precision=torch.float32) if rounded else None
        merge.write_merged(job(tmp_path, folder, adapter), tmp_path / name, seen)
    files: list[Any] = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("small", "huge")]
    assert files[0] == files[1]
    found = merge.compare(huge, tmp_path / "huge", adapter / "adapter", torch.float32)
    assert found["unchanged_targets"] == found["non_finite"] == []


def test_it_is_asked_layer_by_layer(base: Path, huge: Path) -> None:
    """As two merges are measured against the adapter on the 16-bit base."""
    import torch

    from pipeline.inside.layered_forward import LayeredModel

    small, large = (next(LayeredModel(one, torch.float32, "cpu", "sdpa").logits([[[5, 6, 7]]])) for one in (base, huge))
    assert torch.equal(small, large)


def test_it_is_compared_with_its_copy_in_4_bits(tmp_path: Path, base: Path, huge: Path) -> None:
    """Weight by weight, as `merge` does it, and some rows, as `preflight` does."""
    from pipeline.inside import base_distance

    copy = write_copy(base, tmp_path / "copy")
    assert base_distance.whole(huge, copy) == base_distance.whole(base, copy)
    assert base_distance.sampled(huge, copy) == base_distance.sampled(base, copy)
