"""Matrix products of the shapes that training meets; as a program it prints the sha256 of each result."""

from __future__ import annotations

import hashlib

SHAPES = (
    (1, 256, 768),
    (7, 256, 2560),
    (37, 256, 768),
    (131, 256, 2560),
    (512, 256, 256),
    (512, 768, 256),
    (512, 2560, 256),
    (768, 333, 256),
    (2560, 512, 256),
    (512, 256, 32),
    (512, 32, 256),
    (64, 3072, 256),
    (300, 300, 300),
)
"""(m, k, n). Of the seedling's layers and their gradients, odd numbers of tokens, and a longer sum."""


def main() -> None:
    """Print one line per shape."""
    import torch

    from pipeline.inside import numerics

    numerics.hold()
    for m, k, n in SHAPES:
        product = torch.randn(m, k) @ torch.randn(k, n)
        print(m, k, n, hashlib.sha256(product.numpy().tobytes()).hexdigest())  # noqa: T201 - a program


if __name__ == "__main__":
    main()
