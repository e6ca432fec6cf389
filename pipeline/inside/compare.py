"""Compare neighbouring forms of the model on the same text, by the logits that each has published."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from . import numerics
from .job import Job, JobError, progress, read_json, write_json
from .top_logits import DIGITS, Windows, next_ids

BLOCK = 2**13
"""Positions per block: 16 MiB of float64 per form."""

TINY = 1e-300
"""Stands for a share of zero: a token that one form kept and the other gives nothing costs a finite divergence."""

EDGES = tuple(float(f"{digit}e{power}") for power in range(-8, 2) for digit in (1, 3))[:-1]
"""Bounds of the histogram of KL, nats: two to a power of ten, up to 10."""

QUANTILES = (50, 90, 99, 99.9, 100)
"""In percent of the positions; 100 is the largest KL."""

FIRST = ("verify-hf", "verify-merged", "verify-f16")
QUANTIZED = "verify-quant-"

Array = NDArray[Any]


@dataclass(frozen=True)
class Form:
    """What a form published: the records of `top_logits` for every position, and the size of its vocabulary."""

    records: Array
    vocabulary: int


def main(job: Job) -> None:
    """Write `comparison.json`: every pair of neighbours among the inputs."""
    numerics.hold()
    windows = read_json(job.inputs["preflight"] / "parity.json")["windows"]
    pairs = neighbours(list(job.inputs))
    found = []
    for reference, candidate in pairs:
        first, second = (read_form(job.inputs[name], name, windows) for name in (reference, candidate))
        found.append({"reference": reference, "candidate": candidate, **compare(first, second, windows)})
        progress("compare.pair", len(found), len(pairs))
    write_json(job.output / "comparison.json", {"pairs": found})


def neighbours(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs to compare: each form with the one that it was made from."""
    first = [name for name in FIRST if name in names]
    quantized = sorted(name for name in names if name.startswith(QUANTIZED))
    return [*pairwise(first), *((FIRST[-1], name) for name in quantized)]


def read_form(folder: Path, name: str, windows: Windows) -> Form:
    """Return what a form published, memory-mapped; raise `JobError` unless there is a record for every position."""
    records: Array = np.load(folder / "logits.npy", mmap_mode="r")
    expected = sum(map(len, windows))
    if records.shape != (expected,):
        raise JobError(
            f"The logits of {name} have shape {records.shape}, the parity text has {expected} positions.",
            where=f"{name}/logits.npy",
            advice="Run the stage again; if it stays so, it does not score every position of every window.",
        )
    return Form(records, int(read_json(folder / "forward.json")["vocabulary"]))


def compare(reference: Form, candidate: Form, windows: Windows) -> dict[str, Any]:
    """Return how far `candidate` is from `reference`.

    KL(reference‖candidate) in nats and all sums are in float64, over these classes of tokens: each one that both
    forms have kept, and all others together (`top_logits`). `mean_share_outside` is what the reference gives to
    the others. Where the vocabularies differ in size (rows that pad the embedding), the ids over the
    smaller one are left out; what the larger gives to them is reported as `largest_share_cut_off`. Positions where
    either form has a logit that is not finite are counted and left out; if none is left, the numbers are None.
    """
    vocabulary = min(reference.vocabulary, candidate.vocabulary)
    follows = next_ids(windows)
    if max(follows) >= vocabulary:
        raise JobError(
            f"The text holds token {max(follows)}, but only {vocabulary} tokens are in both vocabularies.",
            where=f"{reference.vocabulary} and {candidate.vocabulary} tokens",
            advice="The two forms do not have the same tokenizer: look at the conversion.",
        )
    found = [row for block in blocks(reference.records, candidate.records, vocabulary) for row in block]
    return {
        "positions": len(follows),
        "non_finite_positions": len(follows) - len(found),
        "vocabulary_reference": reference.vocabulary,
        "vocabulary_candidate": candidate.vocabulary,
        "vocabulary_compared": vocabulary,
        **_summary(found),
    }


Row = tuple[float, bool, float, float, float, float, float]
"""KL, same top token, largest logit difference, both losses (NaN where nothing follows), shares outside and cut off."""


def blocks(reference: Array, candidate: Array, vocabulary: int) -> Iterator[list[Row]]:
    """Give the measures of every position where both forms are finite, block by block."""
    for start in range(0, len(reference), BLOCK):
        pair = [np.array(form[start : start + BLOCK]) for form in (reference, candidate)]
        finite = ~(np.isnan(pair[0]["rest"]) | np.isnan(pair[1]["rest"]))
        yield _measure(*(_Scores(records[finite], vocabulary) for records in pair))


class _Scores:
    """The kept tokens of some positions of one form: ids [rows, kept], all else float64."""

    def __init__(self, records: Array, vocabulary: int) -> None:
        self.ids = torch.from_numpy(records["ids"].astype(np.int64))
        self.raw = torch.from_numpy(records["logits"].astype(np.float64))
        logits = self.raw.masked_fill(self.ids >= vocabulary, -math.inf)
        rest = torch.from_numpy(records["rest"].astype(np.float64))[:, None]
        whole = torch.cat([logits, rest], dim=1).logsumexp(-1)
        self.scores = logits - whole[:, None]
        self.loss = whole - torch.from_numpy(records["follows"].astype(np.float64))
        with_cut = torch.cat([self.raw, rest], dim=1).log_softmax(-1)[:, :-1]
        self.cut = torch.where(self.ids >= vocabulary, with_cut.exp(), 0).sum(-1)
        self.top = self.ids.gather(-1, logits.argmax(-1, keepdim=True))[:, 0]
        self.rest = rest[:, 0] - whole

    def outside(self, inside: torch.Tensor) -> torch.Tensor:
        """Return the share of all tokens but those in the mask `inside`, [rows]."""
        return self.scores.exp().masked_fill(inside, 0).sum(-1) + self.rest.exp()


def _measure(first: _Scores, second: _Scores) -> list[Row]:
    """Return the measures of one block."""
    shared, place = _shared(first.ids, second.ids)
    other = second.scores.gather(-1, place)
    shared &= torch.isfinite(first.scores)
    in_second = torch.zeros_like(second.ids, dtype=torch.int8).scatter_reduce(-1, place, shared.to(torch.int8), "amax")
    p, q = first.outside(shared), second.outside(in_second.bool())
    terms = torch.where(shared, first.scores.exp() * (first.scores - other), 0).sum(-1)
    divergence = (terms + torch.where(p > 0, p * (p.clamp(min=TINY).log() - q.clamp(min=TINY).log()), 0)).clamp(min=0)
    difference = torch.where(shared, (first.raw - second.raw.gather(-1, place)).abs(), 0).amax(-1)
    columns = (
        divergence,
        first.top == second.top,
        difference,
        first.loss,
        second.loss,
        p,
        torch.maximum(first.cut, second.cut),
    )
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _shared(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Say which ids of `first` are in the same row of `second`, and where (0 for those that are not).

    Both int64 [rows, kept], ascending.
    """
    place = torch.searchsorted(second, first).clamp(max=second.shape[1] - 1)
    shared = second.gather(-1, place) == first
    return shared, place.masked_fill(~shared, 0)


def _summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the numbers of `comparison.json` over all positions."""
    if not rows:
        return dict.fromkeys(
            (
                "mean_kl",
                "p99_kl",
                "kl_quantiles",
                "kl_histogram",
                "top1_agreement",
                "max_abs_logit_difference",
                "perplexity_reference",
                "perplexity_candidate",
                "perplexity_ratio",
                "mean_share_outside",
                "largest_share_cut_off",
            )
        )
    divergence, same, difference, first, second, outside, cut = zip(*rows, strict=True)
    perplexities = [_perplexity([loss for loss in losses if not math.isnan(loss)]) for losses in (first, second)]
    return {
        "mean_kl": round(math.fsum(divergence) / len(rows), DIGITS),
        "p99_kl": round(float(np.percentile(divergence, 99)), DIGITS),
        "kl_quantiles": {f"{at:g}": round(float(np.percentile(divergence, at)), DIGITS) for at in QUANTILES},
        "kl_histogram": histogram(divergence),
        "top1_agreement": sum(same) / len(rows),
        "max_abs_logit_difference": max(difference),
        "perplexity_reference": round(perplexities[0], DIGITS),
        "perplexity_candidate": round(perplexities[1], DIGITS),
        "perplexity_ratio": round(perplexities[1] / perplexities[0], DIGITS),
        "mean_share_outside": round(math.fsum(outside) / len(rows), DIGITS),
        "largest_share_cut_off": round(max(cut), DIGITS),
    }


def histogram(divergence: Sequence[float]) -> dict[str, Any]:
    """Return how many positions lie under the first edge, between each two, and from the last one on."""
    found = Counter(bisect_right(EDGES, round(value, DIGITS)) for value in divergence)
    return {"edges": list(EDGES), "counts": [found[at] for at in range(len(EDGES) + 1)]}


def _perplexity(losses: Sequence[float]) -> float:
    """Return exp of the mean loss, which is held at 700 nats: a broken form's perplexity stays a number."""
    return math.exp(min(700.0, math.fsum(losses) / len(losses)))
