"""A model that was stored in 4 bits is read as bitsandbytes reads it, whole or some rows of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside.job import JobError
from tests.support.four_bit import made_weight, packed

NAME = "model.layers.0.mlp.up_proj.weight"


def write(folder: Path, weight: Any, *, double: bool = True, **state: Any) -> Path:
    """Write a file with one 4-bit weight and a norm; `state` changes what is written about the weight."""
    import torch
    from safetensors.torch import save_file

    found = packed(weight, double=double)
    ending = ".quant_state.bitsandbytes__nf4"
    text = json.dumps({**json.loads(bytes(found[ending].tolist())), **state}).encode()
    found[ending] = torch.tensor(list(text), dtype=torch.uint8)
    stored = {f"{NAME}{key}": tensor.contiguous() for key, tensor in found.items()}
    save_file({**stored, "model.norm.weight": torch.ones(4)}, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_a_weight_is_what_training_sees(tmp_path: Path, double: bool, kind: str) -> None:  # noqa: FBT001 - a parameter
    """The values of a copy are those of a round trip, in the type that was quantized."""
    import torch

    from pipeline.inside import nf4
    from pipeline.inside.four_bit_copy import FourBitCopy

    weight = made_weight(128, 256).to(getattr(torch, kind))
    copy = FourBitCopy(write(tmp_path, weight, double=double))
    assert torch.equal(copy.values(NAME), nf4.round_trip(weight, double=double).to(weight.dtype))
    assert copy.shape(NAME) == (128, 256)


@pytest.mark.parametrize("double", [False, True])
def test_some_rows_are_those_of_the_whole(tmp_path: Path, double: bool) -> None:  # noqa: FBT001 - a parameter
    """Blocks, scales and the scales of scales begin at the right place."""
    import torch

    from pipeline.inside.four_bit_copy import FourBitCopy

    copy = FourBitCopy(write(tmp_path, made_weight(256, 256), double=double))
    whole = copy.values(NAME)
    for first, last in ((0, 64), (64, 192), (192, 256)):
        assert torch.equal(copy.part(NAME, first, last).values(), whole[first:last])


def test_what_describes_a_weight_is_no_weight(tmp_path: Path) -> None:
    """The norm is a tensor as in any model; scales and levels are none."""
    import torch

    from pipeline.inside.four_bit_copy import FourBitCopy

    copy = FourBitCopy(write(tmp_path, made_weight(64, 64)))
    assert list(copy.quantized) == [NAME]
    assert copy.plain() == ["model.norm.weight"]
    assert torch.equal(copy.values("model.norm.weight"), torch.ones(4))


@pytest.mark.parametrize("state", [{"quant_type": "fp4"}, {"blocksize": 128}, {"shape": [64, 65]}])
def test_what_is_not_understood_is_refused(tmp_path: Path, state: dict[str, Any]) -> None:
    """Other levels, other blocks, other sizes: never read as if they were NF4 in blocks of 64."""
    from pipeline.inside.four_bit_copy import FourBitCopy

    copy = FourBitCopy(write(tmp_path, made_weight(64, 64), **state))
    with pytest.raises(JobError, match="not understood"):
        copy.values(NAME)
