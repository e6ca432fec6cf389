"""Model FLOP utilization: of what a card could multiply, how much went into the model.

After PaLM (arXiv 2204.02311, appendix B): the operations that a token needs by the model's own arithmetic, times
tokens a second, over the card's peak. What gradient checkpointing computes a second time counts as nothing.

There it is 6N + 12·L·H·Q·T for each token, for N weights, L layers, H heads of width Q and T tokens in a row: two
operations for a weight in the forward pass, two for the gradient of its input, two for its own gradient. Under an
adapter a frozen weight has no gradient of its own: 4 for each of these, 6 for each of the adapter's. Attention has no
weights, so its 12·L·H·Q·T (no discount for what the causal mask hides, as there) stay. N is here without the input
embeddings, which are looked up and not multiplied, and with the output layer.
"""

from __future__ import annotations

from bench.gpu.shapes import Shape


def of_a_token(shape: Shape, rank: int) -> float:
    """Return the operations of training one token of a row of `shape.row_tokens`, with an adapter of some rank."""
    attention = 12 * shape.layers * shape.heads * shape.head_width * shape.row_tokens
    return float(4 * shape.multiplied + 6 * shape.adapter(rank) + attention)


def utilization(shape: Shape, rank: int, tokens_per_s: float, peak_flops: float) -> float:
    """Return the share of `peak_flops` (operations a second) that went into the model, 0 to 1."""
    return tokens_per_s * of_a_token(shape, rank) / peak_flops
