"""Sizes of the shapes, and the operations that a token costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.gpu.flops import of_a_token, utilization
from bench.gpu.shapes import LARGE, SMALL, TINY


def test_sizes_are_those_of_the_model_cards() -> None:
    """Qwen3-14B: 14.8 B weights, 13.2 B without embeddings; Qwen3-1.7B: 1.7 B, and 1.4 B."""
    assert round(LARGE.parameters / 1e9, 1) == 14.8
    assert round((LARGE.parameters - 2 * LARGE.vocabulary * LARGE.hidden) / 1e9, 1) == 13.2
    assert round(SMALL.parameters / 1e9, 1) == 1.7
    assert round((SMALL.parameters - SMALL.vocabulary * SMALL.hidden) / 1e9, 1) == 1.4


def test_a_frozen_weight_costs_four_operations_and_one_of_the_adapter_six() -> None:
    """Counted by hand for one layer of small numbers: 2 heads of 2 over width 4, feed-forward 8, 10 tokens, rank 1."""
    shape = replace(TINY, layers=1, hidden=4, feed_forward=8, heads=2, kv_heads=1, head_width=2, vocabulary=10)
    shape = replace(shape, row_tokens=3)
    linear = 4 * 4 + 4 * 2 + 4 * 2 + 4 * 4 + 3 * 4 * 8
    adapter = 8 + 6 + 6 + 8 + 3 * 12
    assert of_a_token(shape, rank=1) == 4 * (linear + 10 * 4) + 6 * adapter + 12 * 1 * 2 * 2 * 3


def test_input_embeddings_are_looked_up_and_cost_nothing() -> None:
    """So a tied table, which is also the output layer, makes no difference."""
    assert of_a_token(replace(TINY, tied=True), 32) == of_a_token(TINY, 32)


def test_utilization_is_the_share_of_the_peak() -> None:
    """At the peak's own speed it is one."""
    peak = 1e12
    assert utilization(LARGE, 32, peak / of_a_token(LARGE, 32), peak) == pytest.approx(1)
