"""Which answer stands first, in which order items come, and under which name: a seeded rule, for each rater his own.

The seed is a random number in the file of votes. So a reload and a new start show the same, and nobody who sees the
page, or this code, can tell from a name or a place which form an answer is of.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from pipeline.rating.answers import Item


class Blinding:
    """The rule for one rater."""

    def __init__(self, seed: str, rater: int) -> None:
        self._seed = seed.encode()
        self._rater = rater

    def order(self, items: Sequence[Item]) -> list[Item]:
        """Return the items in this rater's order, whatever order they came in."""
        return sorted(items, key=lambda item: self._drawn("order", item.digest))

    def form_first(self, item: Item) -> bool:
        """Say whether the answer of `item.pair.form` stands first (A)."""
        return int(self._drawn("side", item.digest)[0], 16) % 2 == 0

    def name(self, item: Item) -> str:
        """Return the name by which this rater's page knows an item."""
        return self._drawn("name", item.digest)[:24]

    def _drawn(self, what: str, digest: str) -> str:
        return hmac.new(self._seed, f"{what}|{self._rater}|{digest}".encode(), hashlib.sha256).hexdigest()
