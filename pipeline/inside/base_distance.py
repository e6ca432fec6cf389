"""Is a 4-bit copy made of these very weights? Tensor by tensor, from the two models' files.

Two figures for each weight. The relative distance |W - copy| / |W| (root mean square) of the same model is NF4's own
error: 0.092 for normally distributed weights in blocks of 64, 0.12 for heavy tails (Student's t with 3 degrees of
freedom); two models with nothing in common have √2. And the share of 4-bit codes that are not those of W: none, if
the copy was made of W as it is stored; 0.4 % if it was made of W before it was rounded to bfloat16; 3 % for a model
that differs by 1 %; 93 % for two with nothing in common. All of these were measured (docs/decisions.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from . import nf4, tensor_files
from .four_bit_copy import ALIGNED, FourBitCopy
from .job import JobError, progress

SAMPLED = 16
"""Weights that are looked at before training: evenly spread over the sorted names, so over layers and kinds."""

DIGITS = 9

Facts = dict[str, Any]


def sampled(base: Path, copy: Path) -> Facts:
    """Compare some rows of some weights, always the same ones: a few megabytes of files of any size.

    Returns what `_summary` does, or `reason` where the copy holds nothing in 4 bits or is not understood.
    """
    try:
        theirs = FourBitCopy(copy)
        names = sorted(theirs.quantized)
        if not names:
            return {"reason": "the copy holds no weight in 4 bits of bitsandbytes"}
        places = sorted({at * (len(names) - 1) // max(1, SAMPLED - 1) for at in range(SAMPLED)})
        return _compared(base, theirs, [names[place] for place in places], _some_rows)
    except JobError as error:
        return {"reason": f"{error.what} {error.where}"}


def whole(base: Path, copy: Path) -> Facts:
    """Compare every weight that the copy holds in 4 bits, one after the other; returns what `_summary` does."""
    theirs = FourBitCopy(copy)
    return _compared(base, theirs, sorted(theirs.quantized), _all_rows)


def _some_rows(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the rows to read: at a third of the weight, where 4-bit blocks and their scales begin."""
    step = ALIGNED // math.gcd(ALIGNED, math.prod(shape[1:]))
    first = shape[0] // 3 // step * step
    return first, min(shape[0], first + step)


def _all_rows(shape: tuple[int, ...]) -> tuple[int, int]:
    return 0, shape[0]


def _compared(
    base: Path, theirs: FourBitCopy, names: Iterable[str], rows: Callable[[tuple[int, ...]], tuple[int, int]]
) -> Facts:
    ours = tensor_files.tensor_files(base)
    found: dict[str, Facts] = {}
    unlike: list[str] = []
    listed = list(names)
    for done, name in enumerate(listed, start=1):
        shape = theirs.shape(name)
        if name not in ours or tuple(tensor_files.tensor_shape(ours[name], name)) != shape:
            unlike.append(name)
            continue
        first, last = rows(shape)
        part = theirs.part(name, first, last)
        found[name] = distance(tensor_files.read_rows(ours[name], name, first, last), part.codes, part.values())
        progress("base.distance", done, len(listed))
    return _summary(found, unlike)


def distance(weight: torch.Tensor, codes: torch.Tensor, values: torch.Tensor) -> Facts:
    """Return how far a copy of `weight`, its codes and what they stand for, is from it."""
    exact = weight.float()
    size = float(torch.linalg.vector_norm(exact, dtype=torch.float64))
    off = float(torch.linalg.vector_norm(exact - values.float(), dtype=torch.float64))
    return {
        "relative_error": round(off / size, DIGITS) if size and math.isfinite(off / size) else None,
        "codes_differ": round(float((nf4.quantize(exact)[0] != codes).double().mean()), DIGITS),
        "elements": exact.numel(),
    }


def _summary(found: Mapping[str, Facts], unlike: list[str]) -> Facts:
    """Return the largest figures, every compared weight with its own (the farthest first), and those without a pair."""
    errors = [one["relative_error"] for one in found.values() if one["relative_error"] is not None]
    order = sorted(found, key=lambda name: (-found[name]["codes_differ"], -(found[name]["relative_error"] or 0), name))
    return {
        "compared": len(found),
        "elements": sum(one["elements"] for one in found.values()),
        "relative_error": max(errors, default=None),
        "codes_differ": max((one["codes_differ"] for one in found.values()), default=None),
        "tensors": [{"name": name, **found[name]} for name in order],
        "unlike": unlike,
    }
