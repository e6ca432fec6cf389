"""The words for what an interval shows, on the host's side; docs/evaluation.md says when each is given."""

from __future__ import annotations

import re
from typing import Final

ONE_TRAINING: Final = " (one training)"
"""Follows `better` and `worse` unless three trainings say so, as in `inside/scoring/trainings.py`."""


def of_one_training(words: str) -> str:
    """Return a verdict on a trained model as it may be told where one training stands behind it."""
    return f"{words}{ONE_TRAINING}" if words in ("better", "worse") else words


def word_of(verdict: str) -> str:
    """Return a verdict without what follows its word: nearer to the references, one training."""
    return re.split(r",| \(", verdict, maxsplit=1)[0]
