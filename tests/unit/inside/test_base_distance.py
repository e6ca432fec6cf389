"""A 4-bit copy of these weights is told from one of others, however much they are alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.inside.job import JobError
from tests.support import tiny_model
from tests.support.four_bit import write_copy

SHARPEST = 0.05
"""The default limit on the share of other codes."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base model."""
    return tiny_model.write_base(tmp_path_factory.mktemp("base"))


def scaled_noise(size: float) -> Any:
    """Return an edit that moves a weight by noise of `size` times its own."""
    import torch

    torch.manual_seed(3)
    return lambda _, weight: weight + torch.randn_like(weight) * float(weight.std()) * size


@pytest.mark.parametrize("double", [False, True])
def test_a_copy_has_the_error_of_nf4_and_no_other_code(base: Path, tmp_path: Path, double: bool) -> None:  # noqa: FBT001
    """All 14 projections, all of their weights."""
    from pipeline.inside import base_distance

    found = base_distance.whole(base, write_copy(base, tmp_path, double=double))
    assert (found["compared"], found["unlike"], found["codes_differ"]) == (14, [], 0.0)
    assert found["elements"] == 2 * (64 * 64 * 2 + 64 * 32 * 2 + 64 * 128 * 3)
    assert found["relative_error"] == pytest.approx(0.092, abs=0.003)


def test_a_copy_of_another_model_is_far(base: Path, tmp_path: Path) -> None:
    """√2, and nine codes of ten are others."""
    from pipeline.inside import base_distance

    other = tiny_model.write_base(tmp_path / "other", seed=2)
    found = base_distance.whole(base, write_copy(other, tmp_path / "copy"))
    assert found["relative_error"] == pytest.approx(2**0.5, abs=0.05)
    assert min(one["codes_differ"] for one in found["tensors"]) > 0.9


def test_a_copy_of_a_model_that_differs_a_little_has_other_codes(base: Path, tmp_path: Path) -> None:
    """3 % (another training of the same model) hides in NF4's error, but not in the codes."""
    from pipeline.inside import base_distance

    found = base_distance.whole(base, write_copy(base, tmp_path, edit=scaled_noise(0.03)))
    assert found["relative_error"] < 0.1
    assert min(one["codes_differ"] for one in found["tensors"]) > SHARPEST


def test_one_other_weight_is_named_first(base: Path, tmp_path: Path) -> None:
    """The farthest comes first."""
    from pipeline.inside import base_distance

    name = "model.layers.1.self_attn.k_proj.weight"
    copy = write_copy(base, tmp_path, edit=lambda one, weight: weight.flip(0) if one == name else weight)
    found = base_distance.whole(base, copy)
    assert found["tensors"][0]["name"] == name
    assert [one["codes_differ"] for one in found["tensors"][1:]] == [0.0] * 13


def test_a_sample_says_the_same(base: Path, tmp_path: Path) -> None:
    """Few rows of up to 16 weights: enough for both figures."""
    from pipeline.inside import base_distance

    found = base_distance.sampled(base, write_copy(base, tmp_path / "copy"))
    assert found["codes_differ"] == 0.0
    assert found["relative_error"] == pytest.approx(0.092, abs=0.005)
    other = tiny_model.write_base(tmp_path / "other", seed=2)
    assert base_distance.sampled(base, write_copy(other, tmp_path / "other-copy"))["codes_differ"] > 0.9


def test_a_sample_reads_some_rows_only(tmp_path: Path) -> None:
    """Of a weight of 1,536 rows of 256 the 64 at a third: from where scales of scales begin."""
    from safetensors.torch import save_file

    from pipeline.inside import base_distance
    from tests.support.four_bit import made_weight, packed

    weight = made_weight(1536, 256)
    stored = {f"a.weight{ending}": one.contiguous() for ending, one in packed(weight, double=True).items()}
    for folder, tensors in (("base", {"a.weight": weight}), ("copy", stored)):
        (tmp_path / folder).mkdir()
        save_file(tensors, tmp_path / folder / "model.safetensors")
    found = base_distance.sampled(tmp_path / "base", tmp_path / "copy")
    assert (found["elements"], found["codes_differ"]) == (64 * 256, 0.0)


def test_a_copy_of_another_shape_has_no_pair(base: Path, tmp_path: Path) -> None:
    """A weight that the base lacks, or has in another shape, is named."""
    import torch

    from pipeline.inside import base_distance

    name = "model.layers.0.mlp.gate_proj.weight"
    copy = write_copy(base, tmp_path, edit=lambda one, weight: torch.cat([weight, weight]) if one == name else weight)
    assert base_distance.whole(base, copy)["unlike"] == [name]


def test_a_copy_in_16_bits_is_not_compared(base: Path) -> None:
    """It says why."""
    from pipeline.inside import base_distance

    assert "no weight in 4 bits" in base_distance.sampled(base, base)["reason"]


def test_a_copy_without_files_is_not_compared(base: Path, tmp_path: Path) -> None:
    """Before training that is no reason to stop; where every weight is needed it is."""
    from pipeline.inside import base_distance

    assert "no safetensors" in base_distance.sampled(base, tmp_path)["reason"]
    with pytest.raises(JobError, match="no safetensors"):
        base_distance.whole(base, tmp_path)
