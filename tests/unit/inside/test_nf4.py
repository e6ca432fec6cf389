"""NF4 is the one of bitsandbytes, bit for bit.

The digests were recorded from bitsandbytes 0.50.2 (`functional.quantize_4bit`, blocks of 64, and `dequantize_4bit`)
over `made_weight(512, 256)`. Those with double quantization are of its portable kernels, which it takes where its
native library is not there; the native one for the CPU rounds scales by a table and gives 0.2 % of them the neighbour.
Beside the library itself, by hand: unpack its wheel into a folder, and run this file with the folder in PYTHONPATH.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from typing import Any

import pytest

from tests.support.four_bit import made_weight, packed

PACKED = "09364e2e4a0fc8675827134325626821e8ca4e9c52d1f05ace30b709c8772d58"
SCALES = "e0b5ae3290dfc1cd197c7df4469a32ab81b2e0bb6659ce8e7b0c29f8a351479c"
BACK = "1d5644b5eb4394577dfa3de78f031313cff26229f01e3a293fd3a615f85f16ef"
EIGHT_BITS = "1789cbb28e905b08fb3e191131b02a2a8a00cb3799d546fbc26f76d6d7d4b6aa"
SECOND_SCALES = "865187a0381a5b5e803993a6606f2d0570d362b1264b88f987bcfa3420496e06"
BACK_DOUBLE = "165896f4d98da2442983864e4fa75e4ec5caa05012852c227da5e3927489eec3"


def digest(tensor: Any) -> str:
    """Return the sha256 of a tensor's bytes."""
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()


def test_codes_and_scales_are_those_of_bitsandbytes() -> None:
    """Packed as it packs them: two codes a byte, the first in the high half."""
    found = packed(made_weight(512, 256), double=False)
    assert (digest(found[""]), digest(found[".absmax"])) == (PACKED, SCALES)


def test_scales_in_8_bits_are_those_of_bitsandbytes() -> None:
    """With double quantization."""
    found = packed(made_weight(512, 256), double=True)
    assert (digest(found[".absmax"]), digest(found[".nested_absmax"])) == (EIGHT_BITS, SECOND_SCALES)


@pytest.mark.parametrize(("double", "expected"), [(False, BACK), (True, BACK_DOUBLE)])
def test_a_round_trip_is_that_of_bitsandbytes(double: bool, expected: str) -> None:  # noqa: FBT001 - a parameter
    """What training sees of a weight."""
    from pipeline.inside import nf4

    assert digest(nf4.round_trip(made_weight(512, 256), double=double)) == expected


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed here")
@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_a_round_trip_beside_bitsandbytes(kind: str) -> None:
    """The same, over random weights, where the library can be asked itself."""
    import torch

    from pipeline.inside import nf4

    functional: Any = importlib.import_module("bitsandbytes.functional")
    torch.manual_seed(0)
    weight = (torch.randn(1024, 2048) * 0.02).to(getattr(torch, kind))
    codes, state = functional.quantize_4bit(weight, blocksize=64, compress_statistics=False, quant_type="nf4")
    assert torch.equal(nf4.unpack(codes), nf4.quantize(weight)[0])
    back = functional.dequantize_4bit(codes, state)
    assert torch.equal(nf4.round_trip(weight, double=False).to(weight.dtype), back)


def test_the_error_of_normal_weights_is_the_one_that_limits_stand_on() -> None:
    """0.092 of the weights' size; 8-bit scales add next to nothing."""
    import torch

    from pipeline.inside import nf4

    torch.manual_seed(0)
    weight = torch.randn(512, 1024)
    for double in (False, True):
        error = (nf4.round_trip(weight, double=double) - weight).norm() / weight.norm()
        assert float(error) == pytest.approx(0.092, abs=0.0005)


def test_a_round_trip_of_a_round_trip_changes_nothing() -> None:
    """The values are their own nearest ones."""
    import torch

    from pipeline.inside import nf4

    once = nf4.round_trip(made_weight(8, 256), double=False)
    assert torch.equal(nf4.round_trip(once, double=False), once)


def test_zeros_and_a_short_last_block() -> None:
    """A block of zeros stays zero, and a weight need not be a multiple of 64."""
    import torch

    from pipeline.inside import nf4

    weight = torch.cat([torch.zeros(64), torch.full((10,), 0.5)])
    assert torch.equal(nf4.round_trip(weight, double=False), weight)
