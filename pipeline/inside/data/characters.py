"""Text as arrays of code points, so that a million rows are judged without a Python loop per row.

A column becomes one flat array of code points and the offsets of its rows; what a character *is*
comes from a table over all code points, built once from the standard library's Unicode data.
"""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .arrow import numbers, strings

Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.uint32]
Integers = npt.NDArray[np.int64]

CODE_POINTS: Final = 0x110000
_TABLED: Final = 0x20000  # planes 0 and 1; the planes above hold rare Han and nothing that folds

_SPARSE: Final = 16
"""A mask with fewer positions than one in so many is quicker to count by looking the rows up."""

# Classes of characters, for language and diversity.
OTHER, SPACE, DIGIT, LATIN, HIRAGANA, KATAKANA, HAN, LETTER, PUNCTUATION, SYMBOL = range(10)


@dataclass(frozen=True)
class Text:
    """A column of strings: `codes` of all rows one after the other, row i at offsets[i]:offsets[i + 1]."""

    codes: Codes
    offsets: Integers

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Integers:
        """Code points of each row."""
        return np.diff(self.offsets)

    def count(self, mask: Bools) -> Integers:
        """Count, for each row, the positions of `mask` (one per code point) that are set."""
        positions = np.flatnonzero(mask)
        if len(positions) == 0:
            return np.zeros(len(self), dtype=np.int64)
        if _SPARSE * len(positions) < len(mask):
            return np.diff(np.searchsorted(positions, self.offsets))
        sums = np.zeros(len(mask) + 1, dtype=np.int64)
        np.cumsum(mask, out=sums[1:])
        return np.diff(sums[self.offsets])

    def select(self, mask: Bools) -> Text:
        """Return the text with only the code points of `mask`."""
        offsets = np.zeros(len(self.offsets), dtype=np.int64)
        np.cumsum(self.count(mask), out=offsets[1:])
        return Text(self.codes[mask], offsets)

    def take(self, rows: Integers) -> Text:
        """Return some rows, in the order given."""
        lengths = self.lengths[rows]
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        positions = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        return Text(self.codes[positions], offsets)

    def firsts(self) -> Integers:
        """Return the positions at which the rows that are not empty start."""
        return self.offsets[:-1][self.lengths > 0]

    def keys(self) -> pa.Array:
        """Return each row's code points as bytes, for exact comparison."""
        buffers = [None, pa.py_buffer(self.offsets * 4), pa.py_buffer(np.ascontiguousarray(self.codes))]
        return pa.Array.from_buffers(pa.large_binary(), len(self), buffers)


def join(texts: list[Text]) -> Text:
    """Return the rows of several texts as one."""
    codes = np.concatenate([text.codes for text in texts]) if texts else np.zeros(0, np.uint32)
    lengths = np.concatenate([text.lengths for text in texts]) if texts else np.zeros(0, np.int64)
    return Text(codes, np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]))


def from_arrow(column: pa.Array) -> Text:
    """Turn an Arrow string column without nulls into code points."""
    column = column.cast(pa.large_string())
    offsets = np.zeros(len(column) + 1, dtype=np.int64)
    np.cumsum(numbers(pc.utf8_length(column)), out=offsets[1:])
    if offsets[-1] == 0:
        return Text(np.zeros(0, np.uint32), offsets)
    bounds = np.frombuffer(column.buffers()[1], dtype=np.int64)[column.offset : column.offset + len(column) + 1]
    utf8 = column.buffers()[2][int(bounds[0]) : int(bounds[-1])].to_pybytes()
    return Text(np.frombuffer(utf8.decode().encode("utf-32-le"), dtype=np.uint32), offsets)


def from_strings(values: list[str]) -> Text:
    """Turn Python strings into code points."""
    return from_arrow(strings(values))


def nfkc(column: pa.Array) -> pa.Array:
    """Return a string column in Unicode form NFKC (full and half width become one)."""
    return pc.utf8_normalize(column, form="NFKC")


@functools.cache
def categories() -> npt.NDArray[np.str_]:
    """Return the Unicode general category of each code point of planes 0 and 1."""
    return np.array([unicodedata.category(chr(code)) for code in range(_TABLED)])


def table(kinds: tuple[str, ...] = (), characters: str = "", spans: tuple[tuple[int, int], ...] = ()) -> Bools:
    """Build a table over all code points: set for general categories, single characters and spans of codes.

    A category is named in full (`Cc`) or by its first letter (`P`); planes above 1 are in no category.
    """
    flags = np.zeros(CODE_POINTS, dtype=np.bool_)
    known = categories()
    for kind in kinds:
        flags[:_TABLED] |= np.char.startswith(known, kind)
    flags[[ord(character) for character in characters]] = True
    for first, last in spans:
        flags[first : last + 1] = True
    return flags


_KANA: Final = ((HIRAGANA, 0x3041, 0x309F), (KATAKANA, 0x30A1, 0x30FA), (KATAKANA, 0x30FC, 0x30FF))
_MORE_KATAKANA: Final = ((KATAKANA, 0x31F0, 0x31FF), (KATAKANA, 0xFF66, 0xFF9F))
_HAN: Final = (
    (HAN, 0x3005, 0x3007),
    (HAN, 0x3400, 0x4DBF),
    (HAN, 0x4E00, 0x9FFF),
    (HAN, 0xF900, 0xFAFF),
    (HAN, 0x20000, 0x323AF),
)


@functools.cache
def classes() -> Bytes:
    """Return the class of every code point (HIRAGANA, HAN, ...)."""
    kinds = np.full(CODE_POINTS, OTHER, dtype=np.uint8)
    for kind, category in (
        (LETTER, "L"),
        (SYMBOL, "S"),
        (PUNCTUATION, "P"),
        (SPACE, "Z"),
        (DIGIT, "Nd"),
        (DIGIT, "No"),
    ):
        kinds[table((category,))] = kind
    kinds[:0x250][kinds[:0x250] == LETTER] = LATIN
    kinds[[0x09, 0x0A, 0x0D]] = SPACE
    for kind, first, last in _KANA + _MORE_KATAKANA + _HAN:
        kinds[first : last + 1] = kind
    return kinds
