"""Matrix products of float32 by oneDNN's own code, which is the same for every processor maker.

MKL, torch's usual way, promises equal bits across makers only for `MKL_CBWR=COMPATIBLE`, which leaves half the width
of a processor with AVX2 and its fused multiply-add unused: 50 GFLOP/s on two cores against 185. oneDNN compiles its
kernels while it runs, for the instruction set that `ONEDNN_MAX_CPU_ISA` names and not for a maker. Its bits were equal
over 1, 2, 3, 4 and 8 threads, alignments of memory, and five processors of two makers that QEMU imitates.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch

_mkldnn: Any = torch.ops.mkldnn
_library: Any = torch.library.Library  # not annotated
SMALLEST = 2**21
"""Multiplications below which MKL is quicker: oneDNN takes 25 µs to begin. Only the shapes decide who computes."""

_held: list[torch.library.Library] = []
"""The registration lives as long as this object does."""


def take_over() -> None:
    """Let oneDNN compute `aten::mm` and `aten::addmm` on the CPU, in forward and backward passes; once per process."""
    if _held or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return
    library = _library("aten", "IMPL")
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Warning only once for all operators"
        )  # that an entry is replaced: it is meant
        library.impl("mm", _mm, "CPU")
        library.impl("addmm", _addmm, "CPU")
    _held.append(library)


def _suits(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether oneDNN can multiply these, and is worth its start. All else goes torch's usual way."""
    if a.dtype is not torch.float32 or b.dtype is not torch.float32 or a.dim() != 2 or b.dim() != 2:  # noqa: PLR2004
        return False
    return a.shape[1] == b.shape[0] and a.shape[0] * b.numel() >= SMALLEST


def _linear(a: torch.Tensor, b: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Return the product by torch's one way to oneDNN's float32: a linear layer with the weights `b` transposed."""
    product: torch.Tensor = _mkldnn._linear_pointwise(a, b.t(), bias, "none", [], "")  # noqa: SLF001
    return product


def _mm(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the product of `a` (m, k) and `b` (k, n)."""
    if _suits(a, b):
        return _linear(a, b, None)
    # The overload with `out` is another entry of torch's table, and still the original. It makes torch's own errors.
    return torch.mm(a, b, out=a.new_empty(0))


def _addmm(
    bias: torch.Tensor, a: torch.Tensor, b: torch.Tensor, *, beta: complex = 1, alpha: complex = 1
) -> torch.Tensor:
    """Return the product of `a` (m, k) and `b` (k, n) plus `bias`, a row of n: a linear layer with a bias."""
    plain = beta == 1 and alpha == 1 and bias.dtype is torch.float32 and bias.shape == b.shape[1:]
    if plain and _suits(a, b):
        return _linear(a, b, bias)
    return torch.addmm(bias, a, b, beta=beta, alpha=alpha, out=a.new_empty(0))
