"""When are two texts the same? Both are folded, and compared code point by code point.

Folding: Unicode NFKC (full and half width become one); lower case; then white space, punctuation
(categories P*), other symbols and emoji (So, Sk), format characters (Cf), variation selectors and `~`
go, except `#`, `%`, `&` and `@`, which change what a title says, and except `.`, `:`, `/`, `-`,
`~` and the wave dash between two digits (1.5 is not 15). A text of which nothing is left stays as it is.
"""

from __future__ import annotations

import functools
from typing import Final

import numpy as np

from .characters import CODE_POINTS, Bools, Codes, Text, join, table

_MEANINGFUL: Final = "#%&@"
_BETWEEN_DIGITS: Final = ".:/-~\u301c"
_SEPARATOR: Final = 0x1F  # unit separator: control characters never reach this point


@functools.cache
def _tables() -> tuple[Bools, Codes, Bools, Bools]:
    """Return: what goes, lower case, digits, and what stays between digits."""
    lower = np.arange(CODE_POINTS, dtype=np.uint32)
    for code in np.flatnonzero(table(("Lu", "Lt"))).tolist():
        small = chr(code).lower()
        if len(small) == 1:
            lower[code] = ord(small)
    goes = table(("P", "So", "Sk", "Cf", "Z"), "\t\n\r~", ((0xFE00, 0xFE0F), (0xE0000, 0xE01EF)))
    goes[[ord(character) for character in _MEANINGFUL]] = False
    return goes, lower, table(("Nd",)), table((), _BETWEEN_DIGITS)


def fold(text: Text) -> Text:
    """Fold a column that is already in NFKC."""
    goes, lower, digits, between = _tables()
    codes = text.codes
    keep = ~goes[codes]
    digit = digits[codes]
    inner = between[codes]
    if inner.any():
        inner[1:] &= digit[:-1]
        inner[:-1] &= digit[1:]
        starts = text.firsts()
        inner[starts] = False  # a row's first and last characters have no neighbour of their own
        inner[text.offsets[1:][text.lengths > 0] - 1] = False
        keep |= inner
    bare = text.count(keep) == 0
    if bare.any():
        keep |= np.repeat(bare, text.lengths)
    return Text(lower[codes], text.offsets).select(keep)


def side_by_side(texts: list[Text]) -> Text:
    """Join several folded columns row by row, with a separator that no folded text holds."""
    if len(texts) == 1:
        return texts[0]
    rows = len(texts[0])
    separator = Text(np.full(rows, _SEPARATOR, np.uint32), np.arange(rows + 1, dtype=np.int64))
    parts = [part for text in texts for part in (text, separator)][:-1]
    stacked = join(parts)
    order = np.arange(len(parts) * rows).reshape(len(parts), rows).T.reshape(-1)
    mixed = stacked.take(order)
    return Text(mixed.codes, mixed.offsets[:: len(parts)])
