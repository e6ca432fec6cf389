"""Measures that two runs did not take in the same way: their values stand beside each other, and are not subtracted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.comparing.side import Side

TEXTS: Mapping[str, tuple[str, ...]] = {
    "parity.json": ("loss", "perplexity"),
    "neutral.json": ("forgetting_kl", "neutral_loss", "neutral_perplexity"),
}
"""File of stage `preflight` with the tokens of a text → the measures of that text. Another tokenizer has other ones."""
OF_TEXT = frozenset(name for names in TEXTS.values() for name in names)
"""Measures of text: their intervals draw its windows, and hang on no prompt."""
_OTHER_TEXT = "no difference: the two runs did not read the same tokens for it"
_OTHER_QUESTIONS = "no difference: the two runs asked other questions that the data leave open"
_OTHER_SCORER = "no difference: the two runs do not score it by the same model, layer and weights"
_OTHER_WEIGHTS = "no difference: each run weighs tokens by its own references (idf), and these are not the same"
_OF_THIS_RUN = "texts_as_long_as_it_reads"
"""What an evaluation says of its scorer that is about the texts scored."""


def unlike(
    sides: tuple[Side, Side], found: tuple[Mapping[str, Any], Mapping[str, Any]], *, same: bool
) -> dict[str, str]:
    """Return each measure that was not taken in the same way, with the reason. `same`: the prompts are the same."""
    told: dict[str, str] = {}
    for file, names in TEXTS.items():
        digests = [_digest(side, file) for side in sides]
        if digests[0] is None or digests[0] != digests[1]:
            told |= dict.fromkeys(names, _OTHER_TEXT)
    if len({_content(side, "fetch-questions") for side in sides}) > 1:
        told["abstention"] = _OTHER_QUESTIONS
    scorers = [_scorer(one) for one in found]
    if scorers[0] != scorers[1]:
        told["bertscore"] = _OTHER_SCORER
    elif scorers[0].get("idf") and not same:
        told["bertscore"] = _OTHER_WEIGHTS
    return told


def _digest(side: Side, file: str) -> str | None:
    """Return the sha256 of a file of stage `preflight`, by the manifest: the file itself may be gone."""
    manifest = side.manifests.get("preflight")
    return None if manifest is None else next((one.sha256 for one in manifest.files if one.path == file), None)


def _content(side: Side, stage: str) -> str | None:
    manifest = side.manifests.get(stage)
    return None if manifest is None else manifest.content


def _scorer(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (evaluation.get("scorer") or {}).items() if name != _OF_THIS_RUN}
