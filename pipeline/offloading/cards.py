"""Cards by name: memory and bandwidth, as their maker tells them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from pipeline.errors import UsageError


@dataclass(frozen=True)
class Card:
    """`memory_gib` in GiB, as cards are sold; `bandwidth_gb` in 10^9 bytes a second."""

    name: str
    memory_gib: float
    bandwidth_gb: float


CARDS = {
    card.name: card
    for card in (
        # Memory clock x bus width / 8, from NVIDIA's specifications: GDDR7 at 28 Gbit/s on 128 bits is 448 GB/s.
        Card("RTX 5060 Ti", 16, 448),
        Card("RTX 5070", 12, 672),
        Card("RTX 5070 Ti", 16, 896),
        Card("RTX 5080", 16, 960),
        Card("RTX 5090", 32, 1792),
        Card("RTX 4060 Ti", 16, 288),
        Card("RTX 4090", 24, 1008),
        Card("RTX 3090", 24, 936),
        Card("RTX 3060", 12, 360),
        Card("L4", 24, 300),
        Card("A100 40GB", 40, 1555),
        Card("A100 80GB", 80, 2039),
        Card("H100", 80, 3350),
        Card("H200", 141, 4800),
    )
}


def card_named(name: str) -> Card:
    """Return a card; capital letters and a maker's name before it do not count. Raises UsageError."""
    wanted = _plain(name)
    for card in CARDS.values():
        if _plain(card.name) == wanted:
            return card
    near = difflib.get_close_matches(wanted, map(_plain, CARDS), n=1)
    hint = f"did you mean {next(one for one in CARDS if _plain(one) == near[0])}? " if near else ""
    advice = f"{hint}known are: {', '.join(CARDS)}; for another give --memory-gib and --bandwidth-gb"
    message = f"no card {name!r} is known"
    raise UsageError(message, where="--card", advice=advice)


def _plain(name: str) -> str:
    return name.lower().replace("nvidia", "").replace("geforce", "").replace(" ", "")
