"""Numbers as Japanese texts write them, read exactly: `1,200`, `千二百`, `1.2千`, `3億5,000万`, `一八九九`."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_DIGITS: Final = {sign: number for number, sign in enumerate("〇一二三四五六七八九")} | {"零": 0}
_SMALL: Final = {"十": 10, "百": 100, "千": 1000}
_LARGE: Final = {"万": 10**4, "億": 10**8, "兆": 10**12, "京": 10**16}
_MOST_DIGITS: Final = 24
"""Longer numbers are compared as they are written: a model that babbles writes hundreds of digits."""

KANJI: Final = "".join((*_DIGITS, *_SMALL, *_LARGE))
ARABIC: Final = r"[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?"
RUN: Final = rf"(?>(?>{ARABIC})|[{KANJI}])++"
"""A run of signs that could be one number; it takes all it can and gives nothing back, so no text is slow."""

_PART: Final = re.compile(rf"(?P<arabic>{ARABIC})|(?P<kanji>[{''.join(_DIGITS)}]+)|(?P<scale>[{KANJI}])")


def canonical(run: str) -> str:
    """Return the one form of a number that a match of `RUN` stands for; what is no number stays as it is.

    `0120` keeps its zero: it is part of a telephone number or a code, and no quantity.
    """
    if run.isascii() and run.startswith("0") and run.isdigit() and len(run) > 1:
        return run
    value = read(run)
    if value is None:
        return run
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def read(run: str) -> Decimal | None:
    """Return the value of a match of `RUN`; None when its parts make no number (`三四十`, `1万2億`)."""
    if sum(map(str.isdigit, run)) > _MOST_DIGITS or len(run) > 2 * _MOST_DIGITS:
        return None
    reader = _Reader()
    for part in _PART.finditer(run):
        if not reader.take(part):
            return None
    return reader.total + reader.section + (reader.pending or 0)


class _Reader:
    """Reads a number from left to right: `total` holds the myriads that are done, `section` what is below the next."""

    def __init__(self) -> None:
        self.total = Decimal(0)
        self.section = Decimal(0)
        self.pending: Decimal | None = None
        self._spelled = False  # pending digits are kanji, one after the other
        self._large = self._small = 10**20

    def take(self, part: re.Match[str]) -> bool:
        """Take the next part; False when it cannot follow."""
        text = part.group()
        if part.lastgroup == "scale":
            return self._large_scale(_LARGE[text]) if text in _LARGE else self._small_scale(_SMALL[text])
        if self.pending is not None:
            return False
        self._spelled = part.lastgroup == "kanji" and len(text) > 1
        digits = "".join(str(_DIGITS[sign]) for sign in text) if part.lastgroup == "kanji" else text.replace(",", "")
        self.pending = Decimal(digits)
        return True

    def _small_scale(self, scale: int) -> bool:
        if scale >= self._small or self._spelled:
            return False
        self.section += (Decimal(1) if self.pending is None else self.pending) * scale
        self.pending, self._small, self._spelled = None, scale, False
        return True

    def _large_scale(self, scale: int) -> bool:
        if scale >= self._large:
            return False
        below = self.section + (self.pending or 0)
        self.total += (below if below or self.pending is not None else Decimal(1)) * scale
        self.section, self.pending, self._spelled = Decimal(0), None, False
        self._large, self._small = scale, 10**20
        return True
