"""Exact duplicates of folded texts: the first row of each text stays."""

from __future__ import annotations

import numpy as np

from .arrow import numbers
from .characters import Integers, Text


def labels(text: Text) -> Integers:
    """Return a number per row, equal exactly where the folded texts are equal (compared, not hashed)."""
    encoded = text.keys().dictionary_encode()
    return numbers(encoded.indices).astype(np.int64)


def first_rows(label: Integers) -> Integers:
    """Return for each row the first row with its label; a row that is its own first is no duplicate."""
    _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
    found: Integers = first[inverse].astype(np.int64)
    return found
