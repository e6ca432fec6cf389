"""Which rows are clean? Every check looks at a whole batch at once; the first fault of a row counts.

Order: empty, replacement characters, mojibake, control characters (these over all columns of text),
then for the answer alone: tag list, truncated, too short, too long, wrong language. Checks look at
the text in NFKC; what is kept is the text itself in NFC, without outer white space and without
zero-width characters, its line breaks as one line feed.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .arrow import integers, numbers, strings
from .batch import Batch, Columns
from .characters import HAN, HIRAGANA, KATAKANA, LATIN, LETTER, Bools, Integers, Text, classes, from_arrow, nfkc, table
from .reasons import CODES, KEPT
from .tag_lists import EMOJI, NEVER, STRONG, WEAK, is_tag_list

MIN_JAPANESE_SHARE: Final = 0.3
"""Least share of Japanese characters among those and foreign words (`ChatGPTとPythonで自動化`: 5 of 7)."""
_MAX_HAN_ONLY: Final = 16  # a longer text of Han alone, without any kana, is Chinese rather than Japanese

_INVISIBLE: Final = re.compile("[\u200b\u2060\ufeff\u00ad]|\r\n?")
_CP1252: Final = r"\x{80}-\x{bf}€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
_MOJIBAKE: Final = "|".join(
    (
        rf"(?:[Â-ô][{_CP1252}]+){{2}}",  # UTF-8 read as Windows-1252
        rf"Ã[{_CP1252}]|â€",
        "[縺繧繝].*[縺繧繝]",  # UTF-8 read as CP932
        r"(?:[‚ƒ][\x20-\x7e\x{a0}-\x{ff}‹Œ…‰Š]){3}",  # CP932 read as Windows-1252
        r"(?:[¤¥][\x{a1}-\x{fe}]){3}",  # EUC-JP read as Latin-1
        "(?:[､･][｡-ﾟ]){3}",  # EUC-JP read as CP932
    )
)
_LEAST_SPACES: Final = 2
_BRACKETS: Final = ("「」", "『』", "【】", "〈〉", "《》")
_TRUNCATED: Final = r"\([^)]{3,}$|[、,・|/&:]\s*$"
"""A parenthesis that never closes (shorter ones are faces), or a sign that something must follow."""
_TRUNCATING: Final = "(、,・|/&:"
"""No row without one of these matches `_TRUNCATED`."""
_STRANGE: Final = ("縺繧繝Ãâ‚ƒ¤¥、・､･", (0xC2, 0xF4))
"""No row without one of these, in NFKC, matches `_MOJIBAKE` (half-width signs become full width there)."""


@dataclass(frozen=True)
class Settings:
    """The recipe's table `[clean]`."""

    min_chars: int
    max_chars: int
    language: str
    drop_tag_lists: bool
    drop_duplicates: bool
    near_duplicate_jaccard: float
    duplicate_key: str

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Settings:
        """Read the recipe's table."""
        return cls(**parameters)


@dataclass
class Verdicts:
    """Each row's first fault: `reasons[row]` is an index of `reasons.REASONS`, `details[row]` says it in words."""

    reasons: npt.NDArray[np.uint8]
    details: dict[int, str]
    forgiven: frozenset[str] = frozenset()

    def drop(self, mask: Bools, reason: str, detail: str) -> Integers:
        """Drop the rows of `mask` that had no fault so far; return them. A reason that is forgiven drops none."""
        if reason in self.forgiven:
            return np.zeros(0, np.int64)
        rows: Integers = np.flatnonzero(mask & (self.reasons == KEPT))
        self.reasons[rows] = CODES[reason]
        self.details.update(dict.fromkeys(rows.tolist(), detail))
        return rows


@dataclass(frozen=True)
class Clean:
    """A batch after the checks: the columns as they are kept, text columns in NFKC as code points, the verdicts."""

    fields: dict[str, pa.Array]
    texts: dict[str, Text]
    verdicts: Verdicts


def clean_values(values: list[str | None]) -> list[str]:
    """Return a column's values as they are kept; null becomes empty."""
    filled = [value or "" for value in values]
    whole = "".join(filled)
    if unicodedata.is_normalized("NFC", whole) and not _INVISIBLE.search(whole):
        return [value.strip() for value in filled]  # nearly every batch: a part of a text in NFC is in NFC
    return [_INVISIBLE.sub(_visible, unicodedata.normalize("NFC", value)).strip() for value in filled]


def _visible(match: re.Match[str]) -> str:
    return "\n" if match[0].startswith("\r") else ""


def clean(batch: Batch, columns: Columns, settings: Settings, forgiven: frozenset[str] = frozenset()) -> Clean:
    """Clean a batch and find each row's first fault that is not forgiven."""
    verdicts = Verdicts(np.array(batch.reasons, np.uint8), dict(batch.details), forgiven)
    fields: dict[str, pa.Array] = {}
    texts: dict[str, Text] = {}
    normal: dict[str, pa.Array] = {}
    for name in columns.required:
        fields[name] = strings(clean_values(batch.fields[name]))
        normal[name] = nfkc(fields[name])
        texts[name] = from_arrow(normal[name])
        _check_characters(verdicts, name, fields[name], texts[name])
    for name in columns.labels:
        fields[name] = strings([value or None for value in clean_values(batch.fields[name])])
    for name in columns.facts.values():
        fields[name] = strings(batch.fields[name])
    answer = columns.output
    _check_answer(verdicts, answer, normal[answer], texts[answer], settings)
    return Clean(fields, texts, verdicts)


def _check_characters(verdicts: Verdicts, name: str, column: pa.Array, text: Text) -> None:
    """Drop rows whose value is empty or damaged; `text` is the column in NFKC."""
    damaged, forbidden, strange = _tables()
    verdicts.drop(text.lengths == 0, "empty", f"{name!r} is empty")
    verdicts.drop(text.count(damaged[text.codes]) > 0, "replacement-characters", f"U+FFFD in {name!r}")
    decoded_wrongly = _matches(column, _MOJIBAKE, text.count(strange[text.codes]) > 0)
    verdicts.drop(decoded_wrongly, "mojibake", f"{name!r} was decoded with the wrong encoding")
    verdicts.drop(text.count(forbidden[text.codes]) > 0, "control-characters", f"control characters in {name!r}")


def _check_answer(verdicts: Verdicts, name: str, normal: pa.Array, text: Text, settings: Settings) -> None:
    if settings.drop_tag_lists:
        verdicts.drop(_tag_lists(normal, text), "tag-list", "short words joined by separators")
    breaks_off = _matches(normal, _TRUNCATED, text.count(_separators(_TRUNCATING)[text.codes]) > 0)
    verdicts.drop(breaks_off | _unbalanced(text), "truncated", f"{name!r} breaks off")
    lengths = text.lengths
    for row in verdicts.drop(lengths < settings.min_chars, "too-short", "").tolist():
        verdicts.details[row] = f"{lengths[row]} characters; the recipe asks for at least {settings.min_chars}"
    for row in verdicts.drop(lengths > settings.max_chars, "too-long", "").tolist():
        verdicts.details[row] = f"{lengths[row]} characters; the recipe allows {settings.max_chars}"
    if settings.language == "ja":
        share = japanese_share(text)
        for row in verdicts.drop(share < MIN_JAPANESE_SHARE, "wrong-language", "").tolist():
            verdicts.details[row] = f"{share[row]:.2f} of the characters and words are Japanese"


def _matches(column: pa.Array, pattern: str, possible: Bools) -> Bools:
    """Return which rows match; only the possible ones are looked at."""
    mask = np.zeros(len(column), dtype=np.bool_)
    rows = np.flatnonzero(possible)
    mask[rows] = numbers(pc.match_substring_regex(column.take(integers(rows)), pattern))
    return mask


def _unbalanced(text: Text) -> Bools:
    """Return which rows open a bracket that they do not close, or the reverse."""
    mask = np.zeros(len(text), dtype=np.bool_)
    for opening, closing in _BRACKETS:
        mask |= text.count(text.codes == ord(opening)) != text.count(text.codes == ord(closing))
    return mask


def _tag_lists(normal: pa.Array, text: Text) -> Bools:
    """Ask the classifier about every row that something separates, and that has no sign no list has."""
    separated = text.count(_joints()[text.codes]) > 0
    spaced = text.count(text.codes == ord(" ")) >= _LEAST_SPACES
    prose = text.count(_separators(NEVER)[text.codes]) > 0
    mask = np.zeros(len(text), dtype=np.bool_)
    rows = np.flatnonzero((separated | spaced) & ~prose)
    mask[rows] = [is_tag_list(value) for value in normal.take(integers(rows)).to_pylist()]
    return mask


def japanese_share(text: Text) -> Any:
    """Return for each row the share of Japanese characters among Japanese characters and foreign words.

    A foreign word is a run of Latin letters, or one other letter (Hangul, Cyrillic ...). A row without
    letters has share 0, and so has a long row of Han characters without any kana (Chinese).
    """
    kinds = classes()[text.codes]
    kana = text.count((kinds == HIRAGANA) | (kinds == KATAKANA))
    han = text.count(kinds == HAN)
    latin = kinds == LATIN
    starts = latin.copy()
    starts[1:] &= ~latin[:-1]
    first = text.firsts()
    starts[first] = latin[first]
    foreign = text.count(starts) + text.count(kinds == LETTER)
    japanese = np.where((kana == 0) & (han > _MAX_HAN_ONLY), 0, kana + han)
    return japanese / np.maximum(kana + han + foreign, 1)


@functools.cache
def _joints() -> Bools:
    return table((), STRONG + WEAK + "【", EMOJI)


@functools.cache
def _separators(characters: str) -> Bools:
    return table((), characters)


_NO_CHARACTERS: Final = tuple((plane + 0xFFFE, plane + 0xFFFF) for plane in range(0, 0x110000, 0x10000))
_DIRECTIONS: Final = ((0x202A, 0x202E), (0x2066, 0x2069))


@functools.cache
def _tables() -> tuple[Bools, Bools, Bools]:
    """Return: U+FFFD; control, private-use, direction-changing and non-characters; signs of mojibake."""
    forbidden = table(("Cc", "Co", "Cs"), "", (*_NO_CHARACTERS, *_DIRECTIONS, (0xFDD0, 0xFDEF), (0xF0000, 0x10FFFF)))
    forbidden[[ord("\t"), ord("\n")]] = False
    characters, span = _STRANGE
    return table((), "\ufffd"), forbidden, table((), characters, (span,))
