"""Compare neighbouring forms of the model on the same text, by the logits that each has published."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from . import numerics
from .job import Job, JobError, progress, read_json, write_json

BLOCK = 2**21
"""Logits per block and form: 16 MiB in float64."""

FIRST = ("verify-hf", "verify-merged", "verify-f16")
QUANTIZED = "verify-quant-"

Array = NDArray[Any]


def main(job: Job) -> None:
    """Write `comparison.json`: every pair of neighbours among the inputs."""
    numerics.hold()
    windows = read_json(job.inputs["preflight"] / "parity.json")["windows"]
    pairs = neighbours(list(job.inputs))
    found = []
    for reference, candidate in pairs:
        first, second = (read_logits(job.inputs[name], name, windows) for name in (reference, candidate))
        found.append({"reference": reference, "candidate": candidate, **compare(first, second, windows)})
        progress("compare.pair", len(found), len(pairs))
    write_json(job.output / "comparison.json", {"pairs": found})


def neighbours(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs to compare: each form with the one that it was made from."""
    first = [name for name in FIRST if name in names]
    quantized = sorted(name for name in names if name.startswith(QUANTIZED))
    return [*pairwise(first), *((FIRST[-1], name) for name in quantized)]


def read_logits(folder: Path, name: str, windows: Sequence[Sequence[int]]) -> Array:
    """Return a form's logits, memory-mapped; raise `JobError` unless there is a row for every position."""
    logits: Array = np.load(folder / "logits.npy", mmap_mode="r")
    expected = sum(map(len, windows))
    if logits.shape[:-1] != (expected,):
        raise JobError(
            f"The logits of {name} have shape {logits.shape}, the parity text has {expected} positions.",
            where=f"{name}/logits.npy",
            advice="Run the stage again; if it stays so, it does not score every position of every window.",
        )
    return logits


def compare(reference: Array, candidate: Array, windows: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Return how far `candidate` is from `reference`, both float [positions, vocabulary].

    KL(reference‖candidate) in nats and all sums are in float64. Where the vocabularies differ in size (rows
    that pad the embedding), both are cut to the smaller and normalized anew; what the larger gives to the rows
    cut off is reported as `largest_share_cut_off`. Positions where either form has a logit that is not finite
    are counted and left out; if none is left, the numbers are None.
    """
    vocabulary = min(reference.shape[1], candidate.shape[1])
    follows = next_ids(windows)
    if max(follows) >= vocabulary:
        raise JobError(
            f"The text holds token {max(follows)}, but only {vocabulary} tokens are in both vocabularies.",
            where=f"{reference.shape[1]} and {candidate.shape[1]} tokens",
            advice="The two forms do not have the same tokenizer: look at the conversion.",
        )
    rows = [row for block in blocks(reference, candidate, follows, vocabulary) for row in block]
    whole = [row for row in rows if row is not None]
    return {
        "positions": len(rows),
        "non_finite_positions": len(rows) - len(whole),
        "vocabulary_reference": int(reference.shape[1]),
        "vocabulary_candidate": int(candidate.shape[1]),
        "vocabulary_compared": vocabulary,
        **_summary(whole),
    }


def next_ids(windows: Sequence[Sequence[int]]) -> list[int]:
    """Return for every position the id that follows it in its window, -1 for a window's last."""
    return [token for window in windows for token in [*window[1:], -1]]


Row = tuple[float, bool, float, float, float, float]
"""KL, same top token, largest logit difference, both losses (NaN where nothing follows), share cut off."""


def blocks(reference: Array, candidate: Array, follows: Sequence[int], vocabulary: int) -> Iterator[list[Row | None]]:
    """Give the measures of every position, block by block; None where a logit is not finite."""
    step = max(1, BLOCK // max(reference.shape[1], candidate.shape[1]))
    for start in range(0, len(reference), step):
        first, second = (_block(form[start : start + step]) for form in (reference, candidate))
        finite = torch.isfinite(first).all(-1) & torch.isfinite(second).all(-1)
        measures = _measure(first, second, torch.tensor(follows[start : start + step]), vocabulary)
        yield [row if good else None for row, good in zip(measures, finite.tolist(), strict=True)]


def _block(logits: Array) -> torch.Tensor:
    """Read a block of logits into memory, in float64."""
    return torch.from_numpy(np.array(logits, dtype=np.float64))


def _measure(first: torch.Tensor, second: torch.Tensor, follows: torch.Tensor, vocabulary: int) -> list[Row]:
    """Return the measures of one block: logits float64 [rows, vocabulary], `follows` [rows]."""
    cut = [torch.maximum(_share_cut(first, vocabulary), _share_cut(second, vocabulary))]
    first, second = first[:, :vocabulary], second[:, :vocabulary]
    p, q = first.log_softmax(-1), second.log_softmax(-1)
    divergence = (p.exp() * (p - q)).sum(-1).clamp(min=0)
    same = first.argmax(-1) == second.argmax(-1)
    difference = (first - second).abs().amax(-1)
    losses = [torch.where(follows < 0, math.nan, -_at(scores, follows)) for scores in (p, q)]
    columns = [column.tolist() for column in (divergence, same, difference, *losses, *cut)]
    return list(zip(*columns, strict=True))


def _at(scores: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Return one score per row, that of its id; of id 0 where there is none."""
    return scores.gather(-1, ids.clamp(min=0)[:, None]).squeeze(-1)


def _share_cut(logits: torch.Tensor, vocabulary: int) -> torch.Tensor:
    """Return the probability that each row gives to the tokens from `vocabulary` on."""
    return logits.softmax(-1)[:, vocabulary:].sum(-1)


def _summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the numbers of `comparison.json` over all positions."""
    if not rows:
        return dict.fromkeys(
            (
                "mean_kl",
                "p99_kl",
                "top1_agreement",
                "max_abs_logit_difference",
                "perplexity_reference",
                "perplexity_candidate",
                "perplexity_ratio",
                "largest_share_cut_off",
            )
        )
    divergence, same, difference, first, second, cut = zip(*rows, strict=True)
    perplexities = [_perplexity([loss for loss in losses if not math.isnan(loss)]) for losses in (first, second)]
    return {
        "mean_kl": math.fsum(divergence) / len(rows),
        "p99_kl": float(np.percentile(divergence, 99)),
        "top1_agreement": sum(same) / len(rows),
        "max_abs_logit_difference": max(difference),
        "perplexity_reference": perplexities[0],
        "perplexity_candidate": perplexities[1],
        "perplexity_ratio": perplexities[1] / perplexities[0],
        "largest_share_cut_off": max(cut),
    }


def _perplexity(losses: Sequence[float]) -> float:
    """Return exp of the mean loss, which is held at 700 nats: a broken form's perplexity stays a number."""
    return math.exp(min(700.0, math.fsum(losses) / len(losses)))
