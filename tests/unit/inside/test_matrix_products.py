"""Products of float32 by oneDNN: right, the same for every number of threads, and torch's own for all else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pipeline.determinism import fixed_variables
from tests.support.products import SHAPES
from tests.support.tiny_model import PACKAGE

if TYPE_CHECKING:
    import torch


@pytest.fixture(autouse=True)
def _taken_over() -> Iterator[None]:
    """Let oneDNN compute, and leave the number of threads as it was."""
    import torch

    from pipeline.inside import matrix_products

    threads = torch.get_num_threads()
    matrix_products.take_over()
    yield
    torch.set_num_threads(threads)


def matrices(m: int, k: int, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two random matrices, (m, k) and (k, n)."""
    import torch

    generator = torch.Generator().manual_seed(m * k + n)
    return torch.randn(m, k, generator=generator), torch.randn(k, n, generator=generator)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_product_is_that_of_float64_within_rounding(shape: tuple[int, int, int]) -> None:
    """Forward, whatever way the operands lie in memory."""
    a, b = matrices(*shape)
    wanted = a.double() @ b.double()
    for left in (a, a.t().contiguous().t()):
        for right in (b, b.t().contiguous().t()):
            assert (left @ right - wanted).abs().max() < 1e-6 * shape[1]


def test_a_linear_layer_with_a_bias_and_its_gradients() -> None:
    """All of a layer's passes, against float64."""
    import torch

    a, b = matrices(300, 256, 512)
    results = {}
    for dtype in (torch.float32, torch.float64):
        inputs, layer = a.to(dtype, copy=True).requires_grad_(), torch.nn.Linear(256, 512, dtype=dtype)
        with torch.no_grad():
            layer.weight.copy_(b.t())
            layer.bias.copy_(torch.linspace(-1, 1, 512))
        layer(inputs).square().sum().backward()
        results[dtype] = [layer(inputs), inputs.grad, layer.weight.grad, layer.bias.grad]
    for single, double in zip(results[torch.float32], results[torch.float64], strict=True):
        torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-2)


def test_the_number_of_threads_and_the_alignment_move_no_bit() -> None:
    """Every shape, 1 to 8 threads, operands that begin at odd places."""
    import torch

    for shape in SHAPES:
        a, b = matrices(*shape)
        torch.set_num_threads(2)
        wanted = a @ b
        if a.shape[0] * b.numel() < 2**21:
            continue
        for threads in (1, 3, 8):
            torch.set_num_threads(threads)
            shifted = torch.empty(a.numel() + threads)[threads:].view(a.shape).copy_(a)
            assert torch.equal(shifted @ b, wanted), (shape, threads)


def test_what_does_not_suit_is_multiplied_as_torch_does() -> None:
    """Other types, empty matrices, other factors; and torch's own error for shapes that do not fit."""
    import torch

    a, b = matrices(300, 256, 300)
    assert (a.double() @ b.double()).dtype is torch.float64
    assert (a[:0] @ b).shape == (0, 300)
    assert not (a[:, :0] @ b[:0]).any()
    bias = torch.ones(300)
    wanted = 2 * (a.double() @ b.double()) + 0.5
    assert (torch.addmm(bias, a, b, beta=0.5, alpha=2) - wanted).abs().max() < 2e-6 * 256  # two sums' rounding
    with pytest.raises(RuntimeError, match="300x256 and 300x256"):
        _ = a @ a


def test_onednn_computes_what_a_program_multiplies() -> None:
    """Not MKL: oneDNN tells of each product that it computed, under the variables of every job."""
    program = "from pipeline.inside import numerics; import torch; numerics.hold(); a = torch.ones(512, 512); a @ a"
    environment = {**os.environ, **fixed_variables("avx2"), "ONEDNN_VERBOSE": "1"}
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=PACKAGE.parent, env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert "brg_matmul:avx2" in told
