"""NF4, the 4 bits of QLoRA: what a weight becomes when it is stored in them, and what it is when it is read again.

The steps and the order of their arithmetic are those of bitsandbytes 0.50.2, and the results were compared with it
bit for bit (`tests/unit/inside/test_nf4.py`). It is written anew because a base that somebody else has quantized
must be read, and compared with its 16-bit base, where bitsandbytes is not installed (`docs/decisions.md`).
"""

from __future__ import annotations

import torch

BLOCK = 64
"""Weights that share one scale: the default of bitsandbytes, and of every model stored with it that was looked at."""

SCALES_BLOCK = 256
"""Scales that share one scale of their own, with double quantization (QLoRA, arXiv 2305.14314, section 3)."""

LEVELS = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)
"""The 16 values of NF4 (arXiv 2305.14314, appendix E): quantiles of a normal distribution, scaled to [-1, 1]."""

_SMALLEST = 1e-38
"""Stands for the scale of a block of zeros, which must not be divided by."""


def levels() -> torch.Tensor:
    """Return the 16 values, float32, ascending."""
    return torch.tensor(LEVELS, dtype=torch.float32)


def quantize(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the codes 0–15 of a weight's elements, uint8 [elements], and the largest of each block, float32 [blocks].

    Blocks go over the elements row by row. The last may be shorter.
    """
    return _nearest(weight.reshape(-1).float(), levels(), BLOCK)


def dequantize(codes: torch.Tensor, scales: torch.Tensor, values: torch.Tensor | None = None) -> torch.Tensor:
    """Return the elements that codes and scales stand for, float32 [elements]; `values` are the levels, by code."""
    table = levels() if values is None else values
    return _scaled(table[codes.int()], scales, BLOCK)


def round_trip(weight: torch.Tensor, *, double: bool) -> torch.Tensor:
    """Return a weight as it comes back from NF4, float32, in its shape; `double` quantizes the scales as well."""
    codes, scales = quantize(weight)
    return dequantize(codes, double_quantized(scales) if double else scales).reshape(weight.shape)


def double_quantized(scales: torch.Tensor) -> torch.Tensor:
    """Return scales, float32 [blocks], as they come back from 8 bits: their distance from their mean is quantized."""
    offset = scales.mean()
    codes, second = quantize_scales(scales - offset)
    return nested_scales(codes, second, dynamic_levels(), offset)


def quantize_scales(scales: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return 8-bit codes of scales less their mean, uint8 [blocks], and the largest of each 256, float32."""
    return _nearest(scales, dynamic_levels(), SCALES_BLOCK)


def nested_scales(
    codes: torch.Tensor, second: torch.Tensor, values: torch.Tensor, offset: float | torch.Tensor
) -> torch.Tensor:
    """Return the scales that 8-bit codes, uint8 [blocks], their own scales, their levels and their mean stand for."""
    return _scaled(values[codes.int()], second, SCALES_BLOCK) + offset


def dynamic_levels() -> torch.Tensor:
    """Return the 256 values of the signed dynamic 8-bit type, float32, ascending (arXiv 2110.02861, section 2.1).

    Of the seven decades below 1 each has twice as many values as the one under it, in equal steps.
    """
    found = [0.0, 1.0]
    for decade in range(7):
        edges = torch.linspace(0.1, 1, 2**decade + 1, dtype=torch.float32)
        middles = 10 ** (decade - 6) * ((edges[:-1] + edges[1:]) / 2.0)
        found += [*middles.tolist(), *(-middles).tolist()]
    return torch.tensor(sorted(found), dtype=torch.float32)


def unpack(packed: torch.Tensor) -> torch.Tensor:
    """Return the codes of packed bytes, uint8 [2 · bytes]: of each byte the high four bits come first."""
    flat = packed.reshape(-1)
    return torch.stack([flat >> 4, flat & 15], dim=1).reshape(-1)


def _nearest(flat: torch.Tensor, values: torch.Tensor, block: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the place of the value that is nearest to each scaled element, and each block's largest magnitude."""
    rows = _rows(flat, block)
    scales = rows.abs().amax(dim=1)
    scaled = (rows * (1.0 / scales.clamp(min=_SMALLEST))[:, None]).clamp(-1, 1)
    middles = (values[:-1] + values[1:]) / 2
    places = torch.bucketize(scaled, middles, out_int32=True).to(torch.uint8)
    return places.reshape(-1)[: flat.numel()], scales


def _scaled(flat: torch.Tensor, scales: torch.Tensor, block: int) -> torch.Tensor:
    """Return elements, each multiplied by its block's scale."""
    return (_rows(flat, block) * scales[:, None]).reshape(-1)[: flat.numel()]


def _rows(flat: torch.Tensor, block: int) -> torch.Tensor:
    """Return elements as [blocks, block], the last block filled up with zeros."""
    missing = -flat.numel() % block
    return torch.nn.functional.pad(flat, (0, missing)).reshape(-1, block)
