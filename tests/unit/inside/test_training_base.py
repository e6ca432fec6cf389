"""What training sees of the base in 4 bits: its linear layers rounded, all else as it is, or a copy's own weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.inside.job import Job, JobError
from tests.support import tiny_model
from tests.support.four_bit import write_copy

FOUR_BIT = {"load_in_4bit": True, "double_quantization": True, "precision": "float32"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base model."""
    return tiny_model.write_base(tmp_path_factory.mktemp("base"))


def seen_by(base: Path, copy: Path | None = None, **train: Any) -> Any:
    """Return what a job with these settings sees of the base."""
    from pipeline.inside.training_base import TrainingBase

    inputs = {"base": base} | ({"training_base": copy} if copy else {})
    return TrainingBase.of(Job("train", {"train": {**FOUR_BIT, **train}}, inputs, Path(), Path(), 1))


def loaded(base: Path, trained_on: Any) -> dict[str, Any]:
    """Return the weights of a model that was given what training saw."""
    import torch

    from pipeline.inside import weights

    model = weights.load_model(base, torch.float32)
    trained_on.put_into(model)
    return dict(model.named_parameters())


def stored(base: Path) -> dict[str, Any]:
    """Return the weights of a model folder."""
    from safetensors.torch import load_file

    return dict(load_file(base / "model.safetensors"))


@pytest.mark.parametrize("double", [False, True])
def test_linear_layers_are_rounded_and_nothing_else(base: Path, double: bool) -> None:  # noqa: FBT001 - a parameter
    """All 14 projections; embeddings, norms and the tied output layer stay."""
    import torch

    from pipeline.inside import nf4

    found = loaded(base, seen_by(base, double_quantization=double))
    for name, weight in stored(base).items():
        expected = nf4.round_trip(weight, double=double) if name.endswith("_proj.weight") else weight
        assert torch.equal(found[name], expected), name


def test_an_output_layer_of_its_own_is_not_rounded(base: Path, tmp_path: Path) -> None:
    """As bitsandbytes leaves it, and Unsloth."""
    import torch
    import transformers

    from pipeline.inside import weights

    untyped: Any = transformers
    config = untyped.AutoConfig.from_pretrained(base, tie_word_embeddings=False)
    untyped.Qwen3ForCausalLM(config).save_pretrained(tmp_path)
    before = dict(weights.load_model(tmp_path, torch.float32).named_parameters())
    found = loaded(tmp_path, seen_by(tmp_path))
    assert torch.equal(found["lm_head.weight"], before["lm_head.weight"])
    assert not torch.equal(found["model.layers.0.mlp.up_proj.weight"], before["model.layers.0.mlp.up_proj.weight"])


def test_values_are_rounded_to_the_type_of_training(base: Path) -> None:
    """With bfloat16 the 4-bit values themselves have 8 bits of mantissa."""
    import torch

    found = loaded(base, seen_by(base, precision="bfloat16"))
    assert all(torch.equal(weight, weight.bfloat16().float()) for weight in found.values())


def test_a_copy_is_taken_as_it_is(base: Path, tmp_path: Path) -> None:
    """Its own 4-bit values and its own norms, whatever the recipe says of double quantization."""
    import torch

    from pipeline.inside.four_bit_copy import FourBitCopy

    folder = write_copy(base, tmp_path, double=True)
    found = loaded(base, seen_by(base, folder, double_quantization=False))
    copy = FourBitCopy(folder)
    assert all(torch.equal(found[name], copy.values(name)) for name in stored(base))


def test_a_copy_of_another_architecture_is_refused(base: Path, tmp_path: Path) -> None:
    """A weight of another shape cannot be taken over."""
    import torch

    name = "model.layers.0.mlp.gate_proj.weight"
    folder = write_copy(base, tmp_path, edit=lambda one, weight: torch.cat([weight, weight]) if one == name else weight)
    with pytest.raises(JobError, match="not a copy of this base"):
        loaded(base, seen_by(base, folder))


def test_without_4_bits_there_is_nothing_to_see(base: Path) -> None:
    """Jobs that were not told of a training on 4 bits take the base as it is."""
    from pipeline.inside.training_base import TrainingBase

    for parameters in ({}, {"train": {"load_in_4bit": False}}):
        assert TrainingBase.of(Job("merge", parameters, {"base": base}, Path(), Path(), 1)) is None
