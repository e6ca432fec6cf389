"""What is kept of a row of logits."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.inside.job import JobError
from pipeline.inside.top_logits import KEPT, Writer, highest, losses, next_ids, reduce

Array = np.ndarray[Any, np.dtype[np.float32]]


def rows(count: int, vocabulary: int) -> Array:
    """Return random logits."""
    return np.random.default_rng(5).normal(size=(count, vocabulary)).astype(np.float32)


def test_the_highest_are_kept_in_the_order_of_their_ids() -> None:
    """Against a plain sort."""
    values = rows(20, 1000)
    found = highest(values, 7)
    assert found.tolist() == [sorted(np.argsort(-row)[:7].tolist()) for row in values]


def test_of_equals_the_lower_ids_are_kept() -> None:
    """Whatever order a partition happens to give: the bytes do not depend on the processor."""
    values = np.array([[1, 3, 1, 2, 1, 1]], dtype=np.float32)
    assert highest(values, 4).tolist() == [[0, 1, 2, 3]]


def test_a_small_vocabulary_is_kept_whole() -> None:
    """Nothing is left for the rest."""
    (record,) = reduce(rows(1, 5), [2])
    assert record["ids"].tolist() == [0, 1, 2, 3, 4]
    assert record["rest"] == -math.inf


def test_kept_and_rest_add_up_to_the_whole() -> None:
    """The probabilities of a record sum to one."""
    values = rows(9, 3000)
    found = reduce(values, [-1] * 9)
    assert found["ids"].shape == (9, KEPT)
    kept = np.exp(found["logits"].astype(np.float64)).sum(axis=1) + np.exp(found["rest"].astype(np.float64))
    np.testing.assert_allclose(kept, np.exp(values.astype(np.float64)).sum(axis=1), rtol=1e-6)


def test_the_loss_is_that_of_the_whole_row_also_for_an_unlikely_token() -> None:
    """The token that follows is scored even when it is none of the kept."""
    values = rows(4, 3000)
    follows = [int(row.argmin()) for row in values[:3]] + [-1]
    whole = values.astype(np.float64)
    expected = np.log(np.exp(whole).sum(axis=1))[:3] - [whole[place, token] for place, token in enumerate(follows[:3])]
    np.testing.assert_allclose(losses(reduce(values, follows)), expected, rtol=1e-6)


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_logit_that_is_not_finite_marks_its_position(broken: float) -> None:
    """Neighbours are untouched."""
    values = rows(3, 300)
    values[1, 7] = broken
    assert np.isnan(reduce(values, [1, 1, 1])["rest"]).tolist() == [False, True, False]
    assert np.isnan(losses(reduce(values, [1, 1, 1]))).tolist() == [False, True, False]


def test_what_follows_ends_with_each_window() -> None:
    """The last position of a window predicts nothing that is known."""
    assert next_ids([[4, 5, 6], [7, 8]]) == [5, 6, -1, 8, -1]


def test_batches_do_not_change_the_file(tmp_path: Path) -> None:
    """Three batches or one: the same bytes, the same numbers."""
    windows = [[1, 2, 3, 4], [5, 6, 7, 8]]
    values = rows(8, 400)
    results = []
    for name, sizes in (("one", [8]), ("three", [3, 3, 2])):
        writer = Writer(tmp_path / name, windows, 400)
        for end, size in zip(np.cumsum(sizes), sizes, strict=True):
            writer.add(values[end - size : end])
        results.append((writer.finish(), (tmp_path / name).read_bytes()))
    assert results[0] == results[1]
    assert results[0][0]["positions"] == 8


def test_a_broken_form_has_no_mean_loss_and_counts_its_logits(tmp_path: Path) -> None:
    """Every logit that is not finite is counted, not every position."""
    values = rows(3, 400)
    values[1, :9] = math.nan
    writer = Writer(tmp_path / "logits.npy", [[1, 2, 3]], 400)
    writer.add(values)
    assert writer.finish() == {"positions": 3, "vocabulary": 400, "non_finite": 9, "mean_nll": None}


def test_a_text_with_a_token_that_the_model_lacks_is_refused(tmp_path: Path) -> None:
    """Before anything is computed."""
    with pytest.raises(JobError, match="token 400, the model has 400"):
        Writer(tmp_path / "logits.npy", [[1, 400]], 400)
