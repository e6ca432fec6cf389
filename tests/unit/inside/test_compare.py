"""Two forms of the model, compared by their logits."""

from __future__ import annotations

import json
import math
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


def compared(reference: Array, candidate: Array) -> dict[str, Any]:
    """Compare two forms."""
    from pipeline.inside.compare import compare

    return compare(reference, candidate, WINDOWS)


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
    assert result["mean_kl"] == pytest.approx(math.fsum(kl) / 8, rel=1e-12)
    assert result["p99_kl"] == pytest.approx(sorted(kl)[6] + 0.93 * (sorted(kl)[7] - sorted(kl)[6]), rel=1e-12)
    assert result["top1_agreement"] == sum(p.index(max(p)) == q.index(max(q)) for p, q in pairs) / 8
    assert result["max_abs_logit_difference"] == pytest.approx(float(np.abs(first - second).max()))
    assert result["perplexity_reference"] == pytest.approx(math.exp(losses[0]), rel=1e-12)
    assert result["perplexity_candidate"] == pytest.approx(math.exp(losses[1]), rel=1e-12)
    assert result["perplexity_ratio"] == pytest.approx(math.exp(losses[1] - losses[0]), rel=1e-12)
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

    assert compare(first[:2], second[:2], [[1, 2]])["mean_kl"] != compare(second[:2], first[:2], [[1, 2]])["mean_kl"]
    rows = np.stack([first[0], first[0]]), np.stack([second[0], second[0]])
    assert compare(*rows, [[1, 2]])["mean_kl"] == pytest.approx(expected, rel=1e-12)


def test_rows_that_pad_the_vocabulary_are_cut_off_and_reported() -> None:
    """A form with two more columns is compared on the common ones; what it gave to the others is said."""
    padding = np.full((8, 2), -30, dtype=np.float32)
    padded = np.concatenate([logits(1), padding], axis=1)
    result = compared(padded, logits(1))
    assert (result["vocabulary_reference"], result["vocabulary_candidate"], result["vocabulary_compared"]) == (7, 5, 5)
    assert result["mean_kl"] == pytest.approx(0, abs=1e-15)
    assert 0 < result["largest_share_cut_off"] < 1e-12


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
    monkeypatch.setattr(compare, "BLOCK", 5)
    assert compared(logits(1), logits(2)) == whole


def test_a_token_outside_both_vocabularies_is_refused() -> None:
    """The text cannot be scored by a form that lacks its tokens."""
    with pytest.raises(JobError, match="token 4"):
        compared(logits(1), logits(1, vocabulary=4))


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
    np.save(inputs["verify-hf"] / "logits.npy", logits(1))
    np.save(inputs["verify-merged"] / "logits.npy", logits(2)[:rows])
    (inputs["preflight"] / "parity.json").write_text(json.dumps({"windows": WINDOWS}))
    return Job("compare", {}, inputs, folder / "output", folder, 1)


def test_the_job_writes_one_pair(tmp_path: Path) -> None:
    """From published files to `comparison.json`."""
    from pipeline.inside import compare

    compare.main(job_of(tmp_path, rows=8))
    pairs = json.loads((tmp_path / "output" / "comparison.json").read_text())["pairs"]
    assert [(pair["reference"], pair["candidate"]) for pair in pairs] == [("verify-hf", "verify-merged")]
    assert pairs[0]["mean_kl"] == compared(logits(1), logits(2))["mean_kl"]


def test_logits_that_do_not_fit_the_text_are_refused(tmp_path: Path) -> None:
    """A form that lacks a position is named."""
    from pipeline.inside import compare

    with pytest.raises(JobError, match="verify-merged"):
        compare.main(job_of(tmp_path, rows=7))
