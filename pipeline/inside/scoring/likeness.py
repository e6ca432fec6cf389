"""How like its reference an answer is: BLEU and chrF by sacreBLEU, ROUGE by torchmetrics, on words of our own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from torchmetrics.functional.text.rouge import rouge_score

from .words import description

Counts = NDArray[np.int64]
ROUGE = {"rouge1": 1, "rouge2": 2, "rougeL": 1}
"""Name → how many words a text needs for this score to exist."""


class Corpus(Protocol):
    """A score of many answers together, from counts of each answer that are added up."""

    def counts(self, answers: Sequence[str], references: Sequence[str]) -> Counts:
        """Return the counts of each answer, int64 [answers, counts]."""

    def score(self, counts: Counts) -> float:
        """Return the score, 0 to 100, of counts that were added up."""

    def signature(self) -> str:
        """Return sacreBLEU's signature: whoever has it can compute the same number."""


class _Sacrebleu:
    """A metric of sacreBLEU. Its statistics are private; its own significance tests use them as is done here."""

    def __init__(self, metric: Any, changes: dict[str, str]) -> None:
        self._metric = metric
        self._metric.num_refs = 1
        self._changes = {**changes, "norm": "NFKC"}

    def counts(self, answers: Sequence[str], references: Sequence[str]) -> Counts:
        return np.array(self._metric._extract_corpus_statistics(answers, [references]), dtype=np.int64)  # noqa: SLF001

    def score(self, counts: Counts) -> float:
        return float(self._metric._compute_score_from_stats(counts.tolist()).score)  # noqa: SLF001

    def signature(self) -> str:
        signature = self._metric.get_signature()
        for key, value in self._changes.items():
            signature.update(key, value)
        return str(signature)


def bleu(*, japanese: bool) -> Corpus:
    """Return BLEU over text that is split into Japanese words already, or with sacreBLEU's default `13a`.

    sacreBLEU's own `ja-mecab` needs a dictionary that is offered as source only, so the words are Sudachi's.
    """
    if not japanese:
        return _Sacrebleu(BLEU(tokenize="13a"), {})
    return _Sacrebleu(BLEU(tokenize="none", force=True), {"tok": description()})


def chrf() -> Corpus:
    """Return chrF2: character n-grams, orders 1 to 6; it needs no words."""
    return _Sacrebleu(CHRF(), {})


def rouge(answer: str, reference: str) -> dict[str, float | None]:
    """Return the F1 scores of ROUGE-1, -2 and -L of texts whose words stand between spaces (Lin 2004).

    None where the reference is too short for one: it has no pair of words to find again.
    """
    found = rouge_score(
        answer, reference, normalizer=str, tokenizer=str.split, rouge_keys=tuple(ROUGE), accumulate="best"
    )
    length = len(reference.split())
    return {name: float(found[f"{name}_fmeasure"]) if length >= least else None for name, least in ROUGE.items()}
