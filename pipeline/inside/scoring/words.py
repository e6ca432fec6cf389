"""Japanese words by Sudachi, whose dictionary is a package: no MeCab, no `/etc/mecabrc`, no file of the system."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

import sudachipy

DICTIONARY: Final = "small"
"""The words of UniDic. The larger dictionaries add names and compounds, which the short units split again."""
_PIECE_CHARS: Final = 10_000
"""Sudachi takes up to 49,149 bytes at once; a character has at most four."""


@dataclass(frozen=True)
class Word:
    """One short unit of UniDic: as written, in its normalized form, with its part of speech.

    `kind`, `detail` and `use` are its first three parts (`名詞`, `普通名詞`, `サ変可能`), `conjugation` is the
    type (`助動詞-マス`), `form` the inflected form (`終止形-一般`); the two are `*` for what does not inflect.
    """

    surface: str
    normalized: str
    kind: str
    detail: str
    use: str
    conjugation: str
    form: str


def normalized(text: str) -> str:
    """Return a text as it is scored: NFKC (full and half width become one), without surrounding space."""
    return unicodedata.normalize("NFKC", text).strip()


def split(text: str) -> tuple[Word, ...]:
    """Return the words of a text, white space left out."""
    pieces = [text[at : at + _PIECE_CHARS] for at in range(0, len(text), _PIECE_CHARS)]
    found = [_word(one) for piece in pieces for one in _tokenizer().tokenize(piece)]
    return tuple(word for word in found if word.surface.strip())


def joined(words: Sequence[Word]) -> str:
    """Return words with one space between them: what metrics made for English can read."""
    return " ".join("".join(word.surface.split()) for word in words)


def description() -> str:
    """Return what splits, for signatures: analyser, dictionary, unit."""
    return f"sudachipy-{version('sudachipy')}-{DICTIONARY}-{version(f'sudachidict_{DICTIONARY}')}-A"


def _word(morpheme: Any) -> Word:
    kind, detail, use, _, conjugation, form = morpheme.part_of_speech()
    return Word(morpheme.surface(), morpheme.normalized_form(), kind, detail, use, conjugation, form)


@functools.cache
def _tokenizer() -> Any:
    """Return the analyser, with the dictionary of the package and the settings that are built in."""
    return sudachipy.Dictionary(dict=DICTIONARY).tokenizer(mode=sudachipy.SplitMode.A)
