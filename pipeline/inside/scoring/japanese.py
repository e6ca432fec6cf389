"""What Japanese an answer is: polite, finished, of one language, varied. Shares of one answer, 0 to 1."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from .words import Word

_POLITE_ENDINGS: Final = {"助動詞-マス", "助動詞-デス"}
_POLITE_WORDS: Final = {"御座る"}
_RESPECT: Final = {"いらっしゃる", "仰る", "為さる", "下さる", "召し上がる", "御覧", "貴社", "貴殿"}
_HUMILITY: Final = {
    *("頂く", "致す", "申す", "申し上げる", "伺う", "参る", "拝見", "拝聴", "拝読", "拝借"),
    *("存ずる", "存じる", "差し上げる", "承る", "弊社", "小社"),
}
"""Words in Sudachi's normalized form, after 敬語の指針 (Council for Cultural Affairs, 2007). `見える`, `上がる`, `居る`
and others that are everyday words as well are left out."""
_PREFIX: Final = "御"
_CLOSING: Final = {"「": "」", "『": "』", "【": "】", "(": ")", "〈": "〉", "《": "》", "[": "]", "〔": "〕"}
_GOES_ON: Final = "、,・:;"
_LATIN: Final = re.compile(r"[A-Za-zÀ-ɏ]+(?:'[A-Za-z]+)?")


def politeness(words: Sequence[Word]) -> tuple[float | None, float | None]:
    """Return the shares of the words that are keigo and teineigo; None for an answer without words.

    Teineigo: です, ます, ございます. Keigo: words of respect or humility, and お or ご before a verb or an action.
    """
    spoken = _spoken(words)
    if not spoken:
        return None, None
    teineigo = sum(word.conjugation in _POLITE_ENDINGS or word.normalized in _POLITE_WORDS for word in spoken)
    keigo = sum(word.normalized in _RESPECT | _HUMILITY for word in spoken)
    keigo += sum(first.normalized == _PREFIX and _is_action(second) for first, second in pairwise(spoken))
    return keigo / len(spoken), teineigo / len(spoken)


def _spoken(words: Sequence[Word]) -> list[Word]:
    """Return the words that hold a letter or digit. Parts of speech do not tell: Sudachi takes `~` for a particle."""
    return [word for word in words if any(one.isalnum() for one in word.surface)]


def _is_action(word: Word) -> bool:
    """Tell `お願いする`, `ご案内する` and `御社` from `お茶`, which only sounds nice."""
    return word.kind == "動詞" or word.use == "サ変可能" or word.normalized == "社"


def character_variety(text: str) -> float | None:
    """Return distinct characters over characters, white space aside (seed 004: 文字多様性)."""
    characters = [one for one in text if not one.isspace()]
    return len(set(characters)) / len(characters) if characters else None


def scripts(text: str) -> dict[str, float | None]:
    """Return the shares of kana, kanji and Latin letters among the letters; None for an answer without letters."""
    found = Counter(_script(one) for one in text if one.isalpha())
    return {name: found[name] / found.total() if found else None for name in ("kana", "kanji", "latin")}


def _script(character: str) -> str:
    name = unicodedata.name(character, "")
    if name.startswith(("HIRAGANA", "KATAKANA")):
        return "kana"
    if name.startswith("CJK UNIFIED IDEOGRAPH") or character == "々":
        return "kanji"
    return "latin" if name.startswith("LATIN") else "other"


def is_unfinished(text: str, words: Sequence[Word], *, cut_off: bool) -> bool:
    """Tell whether an answer breaks off: at the token budget, in brackets, after a comma, a case particle or a stem.

    A title may end in a noun (体言止め) or in `は`, `て`, `から`: these count as finished.
    """
    if cut_off:
        return True
    if not words:
        return False
    if text[-1] in _GOES_ON or any(text.count(one) > text.count(other) for one, other in _CLOSING.items()):
        return True
    return bool(_spoken(words[-1:])) and _asks_for_more(words[-1])


def _asks_for_more(word: Word) -> bool:
    """Tell whether nothing ends in this word: を, が and other case particles, a prefix, a stem before its ending."""
    particle = word.kind == "助詞" and word.detail == "格助詞" and word.normalized not in ("から", "より", "まで", "へ")
    stem = word.form.startswith("未然形") or "音便" in word.form
    return particle or stem or word.kind in ("接頭辞", "連体詞")


def mixes_english(text: str, given: str) -> bool:
    """Tell whether an answer writes English words of its own (seed 004: 英語混在).

    A word counts that has two letters or more with a small one among them, and does not stand in the prompt or the
    reference (`given`): a name that the question gives (`ChatGPT`), `DIY` and `A4` are no English.
    """
    known = {word.casefold() for word in _LATIN.findall(given)}
    own = [word for word in _LATIN.findall(text) if len(word) > 1 and any(one.islower() for one in word)]
    return any(word.casefold() not in known for word in own)
