"""The audit's own view of text. It shares nothing with the modules that clean, so it can find what they miss.

Characters are told apart by spans of code points written here, not by the tables of the cleaning.
"""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .arrow import numbers

_LIMIT: Final = 0x110000
_KNOWN: Final = 0x20000  # beyond: Han, which is never folded away

BARS: Final = "|#"
JOINERS: Final = "・、,/"
_LEAST_BARS: Final = 2
_LEAST_JOINERS: Final = 3
_LONGEST_PIECE: Final = 12
_MANY_PIECES: Final = 6


@dataclass(frozen=True)
class Column:
    """Strings as code points: row i is codes[ends[i] : ends[i + 1]]."""

    codes: npt.NDArray[np.uint32]
    ends: npt.NDArray[np.int64]

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """Code points per row."""
        return self.ends[1:] - self.ends[:-1]

    def row(self, number: int) -> str:
        """Return one row as a string."""
        return self.codes[self.ends[number] : self.ends[number + 1]].tobytes().decode("utf-32-le")

    def owners(self) -> npt.NDArray[np.int64]:
        """Return the row of each code point."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def totals(self, flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Count the flags of each row."""
        positions = np.flatnonzero(flags)
        return np.searchsorted(positions, self.ends[1:]) - np.searchsorted(positions, self.ends[:-1])

    def only(self, flags: npt.NDArray[np.bool_]) -> Column:
        """Return the column without the code points that are not flagged."""
        return Column(self.codes[flags], np.concatenate([[0], np.cumsum(self.totals(flags))]))

    def words(self) -> pa.Array:
        """Return the rows as byte strings, for counting equal ones."""
        buffers = [None, pa.py_buffer(4 * self.ends), pa.py_buffer(np.ascontiguousarray(self.codes))]
        return pa.Array.from_buffers(pa.large_binary(), len(self.sizes), buffers)


def column_of(strings: pa.Array) -> Column:
    """Return a string column without nulls in NFKC, as code points."""
    normal = pc.utf8_normalize(strings.cast(pa.large_string()), form="NFKC")
    ends = np.concatenate([[0], np.cumsum(numbers(pc.utf8_length(normal)), dtype=np.int64)])
    bounds = numbers(pc.binary_length(normal))
    start = int(np.frombuffer(normal.buffers()[1], np.int64)[normal.offset]) if len(normal) else 0
    data = normal.buffers()[2].to_pybytes()[start : start + int(bounds.sum())] if len(normal) and bounds.any() else b""
    return Column(np.frombuffer(data.decode().encode("utf-32-le"), np.uint32), ends)


def stack(columns: list[Column]) -> Column:
    """Return the rows of several columns one after the other."""
    sizes = np.concatenate([column.sizes for column in columns]) if columns else np.zeros(0, np.int64)
    codes = np.concatenate([column.codes for column in columns]) if columns else np.zeros(0, np.uint32)
    return Column(codes, np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]))


def spans(*bounds: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return a table over code points that is set in the spans."""
    flags = np.zeros(_LIMIT, np.bool_)
    for first, last in bounds:
        flags[first : last + 1] = True
    return flags


def signs(characters: str) -> npt.NDArray[np.bool_]:
    """Return a table over code points that is set for single characters."""
    return spans(*((ord(character), ord(character)) for character in characters))


@functools.cache
def hiragana() -> npt.NDArray[np.bool_]:
    """Return the table of hiragana."""
    return spans((0x3041, 0x3096), (0x309D, 0x309F))


@functools.cache
def katakana() -> npt.NDArray[np.bool_]:
    """Return the table of katakana, with the sign of length."""
    return spans((0x30A1, 0x30FA), (0x30FC, 0x30FF))


@functools.cache
def han() -> npt.NDArray[np.bool_]:
    """Return the table of Han characters, with the sign of repetition."""
    return spans((0x3005, 0x3005), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF))


@functools.cache
def hangul() -> npt.NDArray[np.bool_]:
    """Return the table of Hangul."""
    return spans((0x1100, 0x11FF), (0x3130, 0x318F), (0xAC00, 0xD7AF))


@functools.cache
def latin() -> npt.NDArray[np.bool_]:
    """Return the table of Latin letters."""
    return spans((0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F))


@functools.cache
def digits() -> npt.NDArray[np.bool_]:
    """Return the table of decimal digits that stay in NFKC."""
    return spans((0x30, 0x39))


@functools.cache
def _folds() -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint32]]:
    kinds = np.array([unicodedata.category(chr(code)) for code in range(_KNOWN)])
    stays = np.ones(_LIMIT, np.bool_)
    first = kinds.astype("U1")
    stays[:_KNOWN] = ~(np.isin(kinds, ("So", "Sk", "Cf")) | (first == "P") | (first == "Z"))
    stays &= ~(signs("\t\n\r~") | spans((0xFE00, 0xFE0F), (0xE0000, 0xE01EF)))
    stays |= signs("#%&@")
    small = np.arange(_LIMIT, dtype=np.uint32)
    for code in np.flatnonzero(np.isin(kinds, ("Lu", "Lt"))).tolist():
        lower = chr(code).lower()
        small[code] = ord(lower) if len(lower) == 1 else code
    return stays, small


@functools.cache
def _inner_signs() -> npt.NDArray[np.bool_]:
    return signs(".:/-~\u301c")


def folded(column: Column) -> Column:
    """Fold a column by the written definition: see the recipe's reference, `near_duplicate_jaccard`.

    Lower case; no white space, punctuation, symbols or emoji, except # % & @, and . : / - ~ and the
    wave dash between two digits; a row of which nothing is left stays whole.
    """
    stays, small = _folds()
    codes = column.codes
    flags = stays[codes]
    candidates = np.flatnonzero(_inner_signs()[codes])
    candidates = candidates[(candidates > 0) & (candidates < len(codes) - 1)]
    owners = np.searchsorted(column.ends, candidates, side="right")
    alike = (np.searchsorted(column.ends, candidates - 1, side="right") == owners) & (
        np.searchsorted(column.ends, candidates + 1, side="right") == owners
    )
    decimal = np.char.isdecimal
    before, after = codes[candidates - 1], codes[candidates + 1]
    if len(candidates):
        between = decimal(before.view("U1")) & decimal(after.view("U1"))
        flags[candidates[alike & between]] = True
    emptied = column.totals(flags) == 0
    if emptied.any():
        flags |= np.repeat(emptied, column.sizes)
    return Column(small[codes], column.ends).only(flags)


def tag_lists(column: Column) -> npt.NDArray[np.int64]:
    """Return the rows that look like lists of tags, by counting characters and pieces.

    Without any hiragana: one bar or two joiners, unless all is English or one katakana name. Else at least two
    bars or hash signs, or three joiners. At most 10 characters per piece on average and 12 in the longest; no
    quotation marks, brackets or sentence marks; no piece that ends as a sentence does, or with one of を, が, は
    between other characters; and, among fewer than six pieces, no sentence at the end: after joiners no
    hiragana at all, after bars none of の, に, で, ま, ら, す.
    """
    bars, joiners = signs(BARS)[column.codes], signs(JOINERS)[column.codes]
    count, strong = column.totals(bars | joiners), column.totals(bars)
    prose = column.totals(signs("「」『』【】()!?。…~〜:")[column.codes])
    bare = column.totals(hiragana()[column.codes]) == 0
    many = (strong >= _LEAST_BARS - bare) | (count >= _LEAST_JOINERS - bare)
    likely = np.flatnonzero(many & (column.sizes <= 11 * count + 10) & (prose == 0))
    return np.array([row for row in likely.tolist() if _is_list(column.row(row))], dtype=np.int64)


def _is_list(text: str) -> bool:
    bare = not any("ぁ" <= sign <= "ゖ" for sign in text)
    by_bars = sum(text.count(sign) for sign in BARS) >= _LEAST_BARS - bare
    for sign in BARS + JOINERS:
        text = text.replace(sign, "\n")
    pieces = [piece.strip(" .") for piece in text.split("\n") if piece.strip(" .")]
    least = 1 + (_LEAST_BARS if by_bars else _LEAST_JOINERS) - bare
    if bare and (text.isascii() or all("ァ" <= sign <= "ー" for sign in "".join(pieces))):
        return False  # English, or a foreign name
    if len(pieces) < least or max(map(len, pieces)) > _LONGEST_PIECE or any(map(str.isdecimal, pieces)):
        return False
    if any(sign in piece[1:-1] for piece in pieces for sign in "をがは"):
        return False
    if any(piece.endswith(("した", "ます", "です")) for piece in pieces):  # a sentence with hash tags after it
        return False
    tail = pieces[-1]
    ends = any(sign in tail for sign in "のにでまらす") if by_bars else any("ぁ" <= sign <= "ゖ" for sign in tail)
    return len(pieces) >= _MANY_PIECES or not ends


def patterns(column: Column) -> Column:
    """Return each row's pattern: runs of Han, katakana, Latin and digits become 漢, ア, A and 9; the rest stays."""
    codes = column.codes.copy()
    for members, sign in ((han(), "漢"), (katakana(), "ア"), (latin(), "A"), (digits(), "9")):
        codes[members[column.codes]] = ord(sign)
    runs = signs("漢アA9")[codes]
    repeated = np.zeros(len(codes), np.bool_)
    repeated[1:] = runs[1:] & (codes[1:] == codes[:-1])
    starts = column.ends[:-1]
    repeated[starts[column.sizes > 0]] = False
    return Column(codes, column.ends).only(~repeated)


def openings(column: Column, size: int) -> Column:
    """Return the first `size` code points of each row."""
    sizes = np.minimum(column.sizes, size)
    ends = np.concatenate([[0], np.cumsum(sizes)])
    positions = np.arange(ends[-1]) + np.repeat(column.ends[:-1] - ends[:-1], sizes)
    return Column(column.codes[positions], ends)


def commonest(words: pa.Array) -> tuple[int, str, int]:
    """Return how many different byte strings there are, the commonest as text, and how often it stands."""
    if len(words) == 0:
        return 0, "", 0
    encoded: Any = words.dictionary_encode()
    counts = np.bincount(numbers(encoded.indices))
    top = int(np.argmax(counts))
    return len(counts), encoded.dictionary[top].as_py().decode("utf-32-le"), int(counts[top])
