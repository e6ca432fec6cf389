"""How much disk a stage fills, told from the sizes of what it reads. Pure arithmetic: nothing runs here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Sizes = Mapping[str, int]
"""Name of each input → bytes of the files that the stage reads of it; 0 where nobody knows yet."""

PAPERS_BYTES = 32 * 2**20
"""For what has no size of its own here: vocabulary and keys of a GGUF file, and JSON. An allowance."""


@dataclass(frozen=True)
class Room:
    """Bytes at most: `published` is what the stage publishes, `beside` what it writes besides and removes again."""

    published: int = 0
    beside: int = 0


def little(_: Sizes) -> Room:
    """Return what most stages need: so little, or so unknown, that nothing is checked."""
    return Room()
