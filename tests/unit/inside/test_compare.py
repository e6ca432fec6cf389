"""Two forms of the model, compared by their logits."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.inside.job import Job, JobError

WINDOWS = [[1, 2, 3, 0], [2, 2, 1, 4]]
Array = np.ndarray[Any, np.dtype[np.float32]]


def logits(seed: int, vocabulary: int = 5) -> Array:
    """Return random logits for the windows."""
    return np.random.default_rng(seed).normal(size=(8, vocabulary)).astype(np.float32)


def form(values: Array, windows: list[list[int]] | None = None) -> Any:
    """Return what a form with these logits publishes."""
    from pipeline.inside.compare import Form
    from pipeline.inside.top_logits import next_ids, reduce

    return Form(reduce(values, next_ids(windows or WINDOWS)), values.shape[1])


def compared(reference: Array, candidate: Array) -> dict[str, Any]:
    """Compare two forms."""
    from pipeline.inside.compare import compare

    return compare(form(reference), form(candidate), WINDOWS)


def shares(row: Array) -> list[float]:
    """Return the softmax of one row, the slow way."""
    weights = [math.exp(float(value)) for value in row]
    return [weight / math.fsum(weights) for weight in weights]


def test_the_numbers_are_those_of_a_direct_computation() -> None:
    """KL, agreement, perplexity and difference against plain Python, position by position."""
    first, second = logits(1), logits(2)
    result = compared(first, second)
    pairs = [(shares(p), shares(q)) for p, q in zip(first, second, strict=True)]
    kl = [math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True)) for p, q in pairs]
    follows = [2, 3, 0, None, 2, 1, 4, None]
    losses = [
        math.fsum(-math.log(pair[form][token]) for pair, token in zip(pairs, follows, strict=True) if token is not None)
        / 6
        for form in (0, 1)
    ]
    assert result["mean_kl"] == pytest.approx(math.fsum(kl) / 8, abs=1e-9)
    assert result["p99_kl"] == pytest.approx(sorted(kl)[6] + 0.93 * (sorted(kl)[7] - sorted(kl)[6]), abs=1e-9)
    assert result["kl_quantiles"]["50"] == pytest.approx((sorted(kl)[3] + sorted(kl)[4]) / 2, abs=1e-9)
    assert result["kl_quantiles"]["100"] == pytest.approx(max(kl), abs=1e-9)
    edges, counts = result["kl_histogram"]["edges"], result["kl_histogram"]["counts"]
    bins = [(-math.inf, edges[0]), *pairwise(edges), (edges[-1], math.inf)]
    assert counts == [sum(low <= value < high for value in kl) for low, high in bins]
    assert result["top1_agreement"] == sum(p.index(max(p)) == q.index(max(q)) for p, q in pairs) / 8
    assert result["max_abs_logit_difference"] == pytest.approx(float(np.abs(first - second).max()))
    assert result["perplexity_reference"] == pytest.approx(math.exp(losses[0]), abs=1e-9)
    assert result["perplexity_candidate"] == pytest.approx(math.exp(losses[1]), abs=1e-9)
    assert result["perplexity_ratio"] == pytest.approx(math.exp(losses[1] - losses[0]), abs=1e-9)
    assert result["positions"] == 8


def test_a_form_is_no_distance_from_itself() -> None:
    """KL is zero, agreement and ratio are one."""
    result = compared(logits(1), logits(1))
    assert (result["mean_kl"], result["top1_agreement"], result["perplexity_ratio"]) == (0, 1, 1)


def test_the_direction_of_the_divergence_is_reference_to_candidate() -> None:
    """KL is not symmetric; swapping the forms gives the other number."""
    first, second = logits(1), logits(2)
    p, q = shares(first[0]), shares(second[0])
    expected = math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    from pipeline.inside.compare import compare

    one, other = (form(np.stack([values[0], values[0]]), [[1, 2]]) for values in (first, second))
    assert compare(one, other, [[1, 2]])["mean_kl"] == pytest.approx(expected, rel=1e-6)
    assert compare(other, one, [[1, 2]])["mean_kl"] != pytest.approx(expected, rel=1e-6)


def test_rows_that_pad_the_vocabulary_are_cut_off_and_reported() -> None:
    """A form with two more columns is compared on the common ones; what it gave to the others is said."""
    padding = np.full((8, 2), -10, dtype=np.float32)
    padded = np.concatenate([logits(1), padding], axis=1)
    result = compared(padded, logits(1))
    assert (result["vocabulary_reference"], result["vocabulary_candidate"], result["vocabulary_compared"]) == (7, 5, 5)
    assert result["mean_kl"] == pytest.approx(0, abs=1e-15)
    assert 0 < result["largest_share_cut_off"] < 1e-3


def test_positions_that_are_not_finite_are_counted_and_left_out() -> None:
    """One NaN does not turn the whole comparison into NaN, and does not go unseen."""
    broken = logits(1)
    broken[3, 2] = math.nan
    result = compared(logits(1), broken)
    assert (result["positions"], result["non_finite_positions"], result["mean_kl"]) == (8, 1, 0)


def test_a_form_that_is_all_nan_has_no_numbers() -> None:
    """None stands for what could not be measured."""
    result = compared(logits(1), np.full((8, 5), math.nan, dtype=np.float32))
    assert result["non_finite_positions"] == 8
    assert result["mean_kl"] is None
    assert result["perplexity_ratio"] is None


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """One position at a time gives the same numbers as all at once."""
    from pipeline.inside import compare

    whole = compared(logits(1), logits(2))
    monkeypatch.setattr(compare, "BLOCK", 3)
    assert compared(logits(1), logits(2)) == whole


def test_a_token_outside_both_vocabularies_is_refused() -> None:
    """The text cannot be scored by a form that lacks its tokens."""
    from pipeline.inside.compare import compare

    with pytest.raises(JobError, match="token 4"):
        compare(form(logits(1)), replace(form(logits(1)), vocabulary=4), WINDOWS)


def wide(seed: int, spread: float) -> Array:
    """Return logits of 2,000 tokens with a few likely ones, as a language model gives them."""
    random = np.random.default_rng(1)
    common = random.gumbel(scale=3.0, size=(8, 2000))
    return (common + np.random.default_rng(seed).normal(scale=spread, size=common.shape)).astype(np.float32)


def test_the_divergence_over_kept_tokens_is_close_to_the_whole_one_and_never_over_it() -> None:
    """256 of 2,000 tokens are kept: a little of the divergence hides in the rest, none is made up."""
    first, second = wide(2, 0.1), wide(3, 0.1)
    pairs = [(shares(p), shares(q)) for p, q in zip(first, second, strict=True)]
    whole = math.fsum(math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True)) for p, q in pairs) / 8
    result = compared(first, second)
    assert 0.8 * whole < result["mean_kl"] <= whole
    assert 0 < result["mean_share_outside"] < 0.2


def test_a_token_that_only_the_candidate_finds_likely_is_seen() -> None:
    """It is none of the reference's kept tokens; it takes its share from them."""
    first = wide(2, 0.0)
    unlikely = int(first.max(axis=0).argmin())
    second = first.copy()
    second[:, unlikely] = first.max() + 5
    result = compared(first, second)
    assert result["mean_kl"] > 2
    assert result["top1_agreement"] == 0


def test_neighbours_are_compared_and_no_others() -> None:
    """Each form stands beside the one that it was made from."""
    from pipeline.inside.compare import neighbours

    names = ["convert", "preflight", "verify-base", "verify-f16", "verify-hf", "verify-merged"]
    assert neighbours([*names, "verify-quant-Q8_0", "verify-quant-Q4_K_M"]) == [
        ("verify-hf", "verify-merged"),
        ("verify-merged", "verify-f16"),
        ("verify-f16", "verify-quant-Q4_K_M"),
        ("verify-f16", "verify-quant-Q8_0"),
    ]


def job_of(folder: Path, rows: int) -> Job:
    """Write the inputs of a comparison of two forms, the second with `rows` positions."""
    inputs = {name: folder / name for name in ("verify-hf", "verify-merged", "preflight")}
    for path in (*inputs.values(), folder / "output"):
        path.mkdir()
    for name, values, count in (("verify-hf", logits(1), 8), ("verify-merged", logits(2), rows)):
        np.save(inputs[name] / "logits.npy", form(values).records[:count])
        (inputs[name] / "forward.json").write_text(json.dumps({"vocabulary": 5}))
    (inputs["preflight"] / "parity.json").write_text(json.dumps({"windows": WINDOWS}))
    return Job("compare", {}, inputs, folder / "output", folder, 1)


def test_the_job_writes_one_pair(tmp_path: Path) -> None:
    """From published files to `comparison.json`."""
    from pipeline.inside import compare

    compare.main(job_of(tmp_path, rows=8))
    pairs = json.loads((tmp_path / "output" / "comparison.json").read_text())["pairs"]
    assert [(pair["reference"], pair["candidate"]) for pair in pairs] == [("verify-hf", "verify-merged")]
    assert pairs[0]["mean_kl"] == compared(logits(1), logits(2))["mean_kl"]


def test_each_position_counts_in_one_bin() -> None:
    """Equal predictions under the first edge, a divergence on an edge over it, the largest after the last."""
    from pipeline.inside.compare import EDGES, histogram

    found = histogram([0.0, EDGES[0], 0.002, 0.002, 11.0])
    assert len(found["counts"]) == len(EDGES) + 1
    assert {at: count for at, count in enumerate(found["counts"]) if count} == {
        0: 1,
        1: 1,
        EDGES.index(0.003): 2,
        19: 1,
    }


def test_logits_that_do_not_fit_the_text_are_refused(tmp_path: Path) -> None:
    """A form that lacks a position is named."""
    from pipeline.inside import compare

    with pytest.raises(JobError, match="verify-merged"):
        compare.main(job_of(tmp_path, rows=7))
