"""Two files held against each other, byte by byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

_CHUNK: Final = 1 << 20


def differing_bytes(first: Path, second: Path) -> dict[str, Any]:
    """Return both `sizes`, and the `offset` of the first byte that differs; None where there is none."""
    sizes = [first.stat().st_size, second.stat().st_size]
    at = 0
    with first.open("rb") as one, second.open("rb") as other:
        while (here := one.read(_CHUNK)) and (there := other.read(_CHUNK)):
            if here != there:
                pairs = enumerate(zip(here, there, strict=False))
                unequal = next((place for place, (a, b) in pairs if a != b), min(len(here), len(there)))
                return {"sizes": sizes, "offset": at + unequal}
            at += len(here)
    return {"sizes": sizes, "offset": None if sizes[0] == sizes[1] else min(sizes)}
