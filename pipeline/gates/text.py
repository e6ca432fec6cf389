"""What the text of an answer tells: repetition, scripts, likeness. Pure functions over strings.

Limits on short texts do not hold for long ones (any long text repeats its 4-grams and compresses well), so the two
repetition measures look at windows of title length and return the worst of them.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

WINDOW_CHARS = 64
"""Length of the windows in which repetition is measured: as long as most titles, and no longer than
alphabetic prose stays under the limits."""
_PROLONGED_CHARS = 3
"""A character that writers prolong (ー, ！, …, 0, あ) counts as this many at most in `repetition`."""
_NO_LETTER = re.compile(r"[\W_]+")
_OPENING_AND_CLOSING = frozenset({"Ps", "Pe", "Pi", "Pf"})


@dataclass(frozen=True)
class Cycle:
    """A unit that repeats without a gap up to the end of a text: `repeats` whole times over `span` characters."""

    unit: str
    repeats: int
    span: int


def windows(text: str) -> Iterator[str]:
    """Yield the text in half-overlapping windows; a text of up to one and a half windows comes whole."""
    step = WINDOW_CHARS // 2
    if len(text) <= WINDOW_CHARS + step:
        yield text
        return
    for start in range(0, len(text) - step, step):
        yield text[start : start + WINDOW_CHARS]


def runs(text: str) -> Iterator[tuple[str, int]]:
    """Yield each run of one character: the character and its length."""
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or text[at] != text[start]:
            yield text[start], at - start
            start = at


def never_prolonged(character: str) -> bool:
    """Tell whether no writer repeats this character: a bracket, a Chinese character, a capital Latin letter.

    `X` stands for an unknown (`XXXX年`) and may repeat; so may digits, kana, `w`, `ー`, `！`, `…`, `○`.
    """
    category = unicodedata.category(character)
    capital = category == "Lu" and unicodedata.normalize("NFKC", character) != "X"
    return category in _OPENING_AND_CLOSING or capital or _is_han(character)


def repetition(text: str) -> float:
    """Return the worst character seq-rep-4 over the windows: 1 - distinct 4-grams / 4-grams (Welleck et al. 2020).

    0 for no repetition, and for fewer than four characters. Prolonged characters are shortened first: `……………` is a
    matter of style, and a run of eight is found by `runs`.
    """
    return max((_repetition(window) for window in windows(_shortened(text))), default=0.0)


def _repetition(text: str) -> float:
    grams = [text[at : at + 4] for at in range(len(text) - 3)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def _shortened(text: str) -> str:
    return "".join(
        character * (length if never_prolonged(character) else min(length, _PROLONGED_CHARS))
        for character, length in runs(text)
    )


def compression_ratio(text: str) -> float:
    """Return the worst ratio of UTF-8 bytes to zlib bytes (level 9) over the windows; 0 for an empty text."""
    return max((_ratio(window.encode()) for window in windows(text)), default=0.0)


def _ratio(data: bytes) -> float:
    return len(data) / len(zlib.compress(data, 9))


def ending_cycle(text: str) -> Cycle | None:
    """Return the longest repetition of one unit at the end of a text; None when nothing repeats there.

    A last, incomplete unit counts in the span: an answer cut by the token budget ends anywhere.
    """
    best: Cycle | None = None
    for period in range(1, len(text) // 2 + 1):
        same = 0
        while same < len(text) - period and text[-1 - same] == text[-1 - same - period]:
            same += 1
        if same >= period and (best is None or same + period > best.span):
            span = same + period
            best = Cycle(text[len(text) - span : len(text) - span + period], span // period, span)
    return best


def distinct_share(texts: Sequence[str], n: int) -> float | None:
    """Return distinct-n over all texts together: distinct character n-grams / n-grams (Li et al. 2016)."""
    grams = [text[at : at + n] for text in texts for at in range(len(text) - n + 1)]
    return len(set(grams)) / len(grams) if grams else None


def script_shares(text: str) -> dict[str, float]:
    """Return the share of each script among the letters: `kana`, `han`, `latin`, `other`; all 0 without letters.

    `han` are the characters of JIS X 0213; forms that only other languages write (simplified Chinese) are `other`.
    Digits, marks and emoji are not letters. `ー` counts as kana.
    """
    counts = Counter(_script(character) for character in text if character.isalpha())
    letters = sum(counts.values())
    return {name: counts[name] / letters if letters else 0.0 for name in ("kana", "han", "latin", "other")}


def _script(character: str) -> str:
    if "\u3041" <= character <= "\u30ff" or "\uff66" <= character <= "\uff9f" or "\u31f0" <= character <= "\u31ff":
        return "kana"
    if _is_han(character):
        return "han" if _in_japanese_sets(character) else "other"
    return "latin" if unicodedata.name(character, "").startswith(("LATIN", "FULLWIDTH LATIN")) else "other"


def _is_han(character: str) -> bool:
    return character == "々" or unicodedata.name(character, "").startswith("CJK UNIFIED IDEOGRAPH")


def _in_japanese_sets(character: str) -> bool:
    try:
        character.encode("euc_jis_2004")
    except UnicodeEncodeError:
        return False
    return True


def folded(text: str) -> str:
    """Return what two texts must share to count as the same: NFKC, case folded, letters and digits only."""
    return _NO_LETTER.sub("", unicodedata.normalize("NFKC", text).casefold())


def likeness(candidate: str, reference: str, orders: Iterable[int] = range(1, 7), beta: float = 2.0) -> float:
    """Return chrF, 0 to 1: the F-score of shared character n-grams, orders 1 to 6, beta 2 (Popović 2015).

    Orders longer than either text do not count; 0 when no order is left.
    """
    scores = [
        score for n in orders if (score := _f_score(_grams(candidate, n), _grams(reference, n), beta)) is not None
    ]
    return sum(scores) / len(scores) if scores else 0.0


def _grams(text: str, n: int) -> Counter[str]:
    return Counter(text[at : at + n] for at in range(len(text) - n + 1))


def shape(text: str) -> frozenset[str]:
    """Return the character n-grams of a text, orders 1 to 4, as a set: what `shape_likeness` compares."""
    return frozenset(text[at : at + n] for n in range(1, 5) for at in range(len(text) - n + 1))


def shape_likeness(first: frozenset[str], second: frozenset[str]) -> float:
    """Return the Dice coefficient of two shapes, 0 to 1. Coarser than `likeness` and a hundred times quicker."""
    return 2 * len(first & second) / (len(first) + len(second)) if first and second else 0.0


def _f_score(candidate: Counter[str], reference: Counter[str], beta: float) -> float | None:
    if not candidate or not reference:
        return None
    shared = (candidate & reference).total()
    precision, recall = shared / candidate.total(), shared / reference.total()
    weighted = beta * beta * precision + recall
    return (1 + beta * beta) * precision * recall / weighted if weighted else 0.0
