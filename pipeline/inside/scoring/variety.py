"""How different the answers to different prompts are."""

from __future__ import annotations

from collections.abc import Sequence

from sacrebleu.metrics.bleu import BLEU

SELF_BLEU_ANSWERS = 100
"""Answers that self-BLEU looks at, the first ones: its cost grows with their square."""
_ENOUGH = 2


def distinct(texts: Sequence[Sequence[str]], n: int) -> float | None:
    """Return distinct-n: distinct n-grams of words over n-grams, of all texts together (Li et al. 2016)."""
    grams = [tuple(words[at : at + n]) for words in texts for at in range(len(words) - n + 1)]
    return len(set(grams)) / len(grams) if grams else None


def self_bleu(texts: Sequence[Sequence[str]]) -> float | None:
    """Return the mean BLEU, 0 to 100, of each text against all others (Zhu et al. 2018): 100 if all say the same.

    None for fewer than two texts that are not empty.
    """
    told = [" ".join(words) for words in texts if words][:SELF_BLEU_ANSWERS]
    if len(told) < _ENOUGH:
        return None
    metric = BLEU(tokenize="none", force=True, effective_order=True)
    scores = [metric.sentence_score(one, [*told[:at], *told[at + 1 :]]).score for at, one in enumerate(told)]
    return sum(scores) / len(scores)
