"""Tell a title from a list of tags (`自己紹介｜子育て｜ワーママ｜30代`).

Judged on one title at a time, after NFKC. A title is cut at its separators, and each piece is looked
at: a tag is a short noun; a piece with a particle between words, a sentence's ending, quotation
marks or brackets is prose. Bars and hash signs join tags by habit, so three tags are enough there;
the middle dot, commas and slashes also join nouns inside real titles, so those need four, all of
them tags. When in doubt the row stays: a real title lost cannot be seen any more, and the audit
looks at what stayed with a rule of its own.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Final

STRONG: Final = "|¦┃│#"
WEAK: Final = "/・、,•·‧;"

_NUMBER_COMMA: Final = re.compile(r"(?<=\d)[,/・](?=\d)")
_STRONG: Final = re.compile(f"[{re.escape(STRONG)}]")
_SPLIT: Final = re.compile(
    rf"[{re.escape(STRONG + WEAK)}\s]*[{re.escape(STRONG + WEAK)}\n][{re.escape(STRONG + WEAK)}\s]*"
)
_HASH_TAG: Final = re.compile(r"#[^\s#|]{1,20}")
_ELLIPSIS: Final = ".…。・ \t\n"
_WORD: Final = r"[\u3400-\u9fff々ァ-ヶーA-Za-z0-9]"
_PARTICLE: Final = re.compile(
    rf"{_WORD}(?:を|は|が|に|で|へ|も|から|まで|より|って|とは|には|では){_WORD}|を|について|ための"
)
_PROSE_MARK: Final = re.compile(r"[「」『』【】〈〉《》!?。:()\[\]〜~→=“”\"…]|\.{2,}")
_PROSE_END: Final = re.compile(
    r"(?:する|した|して|しない|しよう|ます|ました|ません|です|でした|だった|った|いた|えた|れた|せた|けた|げた|めた|べた|ない|たい|れる|られる|せる|える|てる|でる"
    r"|ている|ていた|ください|かな|よね|だよ|だね|のか|わけ|こと|とは|には|では|から|まで|なら|ほど|だけ|[はがをにで])$"
)
_TITLE_END: Final = re.compile(
    r"(?:\d+選|理由|方法|コツ|秘訣|手順|始め方|作り方|選び方|使い方|続け方|書き方|やり方|の話|の日々|の記録|した件|編|入門|ガイド|とめ)$"
)
_KATAKANA: Final = re.compile(r"[ァ-ヶー=.A-Z]+")
_PERSON: Final = re.compile(r"[0-9一二三四]*[児人歳代]?の(?:母|父|親|ママ|パパ|主婦|会社員)")
"""A tag of two words (`2児の母`) that may end a list without making a sentence of it."""
_MAX_TAG_CHARS: Final = 10
_MAX_LATIN_TAG_CHARS: Final = 20
_MAX_SPACES_IN_TAG: Final = 2
_LEAST_BY_BARS: Final = 3
_LEAST_BY_COMMAS: Final = 4
_FEW: Final = 6
"""Fewer pieces than this are a title as soon as one of them, or the first or last, reads like one."""
_FEW_BY_COMMAS: Final = 7
_MANY: Final = 8
_MOST_BY_BARS: Final = 0.75
_MOST_BY_COMMAS: Final = 0.8


def is_tag_list(title: str) -> bool:
    """Return whether a title is a list of tags. `title` is in any Unicode form."""
    text = unicodedata.normalize("NFKC", title).strip().rstrip(_ELLIPSIS)
    if _all_hash_tags(text):
        return True
    text = _NUMBER_COMMA.sub("", text)
    pieces = [piece for piece in (part.strip() for part in _SPLIT.split(text)) if piece]
    if len(pieces) < _LEAST_BY_BARS:
        return False
    strong = len(_STRONG.findall(text))
    return _bars(pieces) if 2 * strong >= len(pieces) - 1 else _commas(pieces)


def _all_hash_tags(text: str) -> bool:
    """Two hash tags or more and nothing else, or one hash tag that is a plain word."""
    if not text.startswith("#"):
        return False
    tags = _HASH_TAG.findall(text)
    rest = _HASH_TAG.sub("", text).strip(" 、,・|/")
    if len(tags) == 1 and (not _is_tag(tags[0][1:]) or tags[0][1:2].isdigit()):
        return False
    return bool(tags) and not rest


def _bars(pieces: list[str]) -> bool:
    """Pieces joined by bars or hash signs: most of them tags; among a few, none that reads like a title."""
    tags = sum(map(_is_tag, pieces))
    few = len(pieces) < _FEW
    if few and (any(map(_TITLE_END.search, pieces)) or not _is_tag(pieces[0]) or not _is_tag(pieces[-1])):
        return False
    if len(pieces) == _LEAST_BY_BARS:
        return tags == len(pieces) and not any("の" in piece for piece in pieces)
    return tags >= _MOST_BY_BARS * len(pieces)


def _commas(pieces: list[str]) -> bool:
    """Pieces joined by middle dots, commas or slashes: at least four, all tags, no sentence at the end."""
    if len(pieces) < _LEAST_BY_COMMAS:
        return False
    if len(pieces) == _LEAST_BY_COMMAS and all(map(_KATAKANA.fullmatch, pieces)):  # a foreign name
        return False
    last = pieces[-1]
    if _TITLE_END.search(last) or ("の" in last and len(pieces) < _FEW_BY_COMMAS and not _PERSON.fullmatch(last)):
        return False
    tags = sum(map(_is_tag, pieces))
    return tags == len(pieces) or (len(pieces) >= _MANY and tags >= _MOST_BY_COMMAS * len(pieces) and _is_tag(last))


@functools.lru_cache(maxsize=1 << 16)
def _is_tag(piece: str) -> bool:
    """Return whether one piece is a short noun."""
    limit = _MAX_LATIN_TAG_CHARS if piece.isascii() else _MAX_TAG_CHARS
    if len(piece) > limit or (piece.isascii() and piece.count(" ") > _MAX_SPACES_IN_TAG):
        return False
    return not (_PROSE_MARK.search(piece) or _PARTICLE.search(piece) or _PROSE_END.search(piece))
