"""What a program itself holds fixed so that its sums come out the same to the last bit."""

from __future__ import annotations

import os
import random

import numpy as np
import torch

from . import matrix_products

THREADS = 2
"""Threads that torch and MKL compute with, whatever the job was given.

With `MKL_CBWR=COMPATIBLE`, which attention and small products still use, a product depends on their number: half of
123 shapes gave other bits with 1, 2, 3, 4 or 8 threads. Two threads on one core give the same bits as on two cores.
"""


def hold(seed: int = 0) -> None:
    """Fix the number of threads, the seeds, and the choice of deterministic kernels."""
    torch.set_num_threads(THREADS)
    matrix_products.take_over()
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries draw from the old generator
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(mode=True)
    # It would fill memory before an operation writes it, for operations that read what nobody wrote. None here does: a
    # second build has the same bytes. And it takes 7 % of a training step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a module with properties
    # On a GPU. CUBLAS_WORKSPACE_CONFIG, which belongs to it, is a variable of every job.
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    os.environ["FLASH_ATTENTION_DETERMINISTIC"] = "1"
