"""Tell a title from a list of tags (`自己紹介｜子育て｜ワーママ｜30代`).

Judged on one title at a time, after NFKC. A title is cut at its separators, and each piece is looked
at: a tag is a bare noun; a piece with a particle between words, a conjugated ending, quotation marks
or brackets is prose. How many tags make a list depends on what joins them: bars join two, the middle
dot and the comma join nouns inside real titles and names as well, so those need more, or a stricter look.
When in doubt the row stays: a real title lost cannot be seen any more, and the audit looks at what
stayed with a rule of its own. Measured on `labelled_titles`, of which a part was kept out of the making.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Final

STRONG: Final = "|¦┃│#"
WEAK: Final = "/・、,•·‧;"
NEVER: Final = "を。!?「」『』"
"""No list has one of these."""
EMOJI: Final = ((0x1F000, 0x1FAFF), (0x2600, 0x27BF), (0x2B00, 0x2BFF), (0xFE0E, 0xFE0F), (0x200D, 0x200D))
"""Code points of pictures and of what joins them; none of them is a letter or a sign of writing."""

_NUMBER_COMMA: Final = re.compile(r"(?<=\d)[,/・](?=\d)")
_JOINED: Final = f"{re.escape(STRONG + WEAK)}\n" + "".join(f"{chr(first)}-{chr(last)}" for first, last in EMOJI)
_SPLIT: Final = re.compile(rf"([\s{_JOINED}]*[{_JOINED}][\s{_JOINED}]*)")
_HASHES: Final = re.compile("##+")
_NO_LIST: Final = re.compile(f"[{re.escape(NEVER)}]")
_HASH_TAG: Final = re.compile(r"#[^\s#|]{1,20}")
_ELLIPSIS: Final = ".…。 \t\n"
_OPENING, _CLOSING = re.escape("【[「『《〈("), re.escape("】]」』》〉)")
_BRACKETED: Final = re.compile(rf"(?:[{_OPENING}][^{_OPENING}{_CLOSING}]{{1,20}}[{_CLOSING}][\s|/・、,]*){{2,}}")

_KANJI: Final = r"\u3400-\u9fff々"
_WORD: Final = rf"[{_KANJI}ァ-ヶーA-Za-z0-9]"
_LEXICAL: Final = re.compile(
    r"男の子|女の子|男の人|女の人|世の中|身の回り|木の実|髪の毛|腕の見せ所|お茶の間|道の駅|茶の湯|海の家|山の手|母の日|父の日|海の日|子ども|こども|友だち"
    r"|[乳胃肺癌舌喉腸腺臓頸抗]がん(?![ばぼも])|胃ろう|ごぼう|ぶどう|ふくろう|ほうとう"
)
"""Nouns that hold what elsewhere is a particle or the ending of a verb."""
_SPEAKER: Final = re.compile(
    r"^(?:私|僕|俺|わたし|ぼく|おれ|あなた)(?:たち|達)?$"
    r"|^(?:そして|それから|それでも|でも|だから|だけど|ところが|ときどき|時々|または|また(?!たび)|やがて|あるいは|たぶん|きっと|まさか)"
)
"""Who speaks, or a conjunction: what stands between commas is a story."""
_PERSON: Final = re.compile(
    r"(?:[0-9一二三四]*[児人歳代]|社会人|大人|大学生|高校生|小学生|主婦|会社員)の"
    rf"(?:[{_KANJI}]{{1,3}}[きちびみり]?|ママ|パパ|ひとり旅)"
)
"""A tag of two words (`2児の母`, `大人の学び`) that makes no sentence."""
_PARTICLE: Final = re.compile(
    rf"{_WORD}(?:を|は|が|に|で|へ|も|と|や|から|まで|より|って|とは|には|では|との|への){_WORD}|を|について|ための"
    rf"|[{_KANJI}ァ-ヶー](?:が|は|に|と|から|まで)[ぁ-ん]"
)
_OF: Final = re.compile(r"[^ぁ-ん]の.|の[^ぁ-ん]")
"""The particle; not `あみもの`."""
_PROSE_MARK: Final = re.compile(r"[「」『』【】〈〉《》!?。:()\[\]〜~→=“”\"…×]|\.{2,}|―")
_PROSE_END: Final = re.compile(
    r"(?:する|した|して|しない|しよう|ます|ました|ません|です|でした|だった|った|いた|えた|れた|せた|けた|げた|めた|べた|ない|たい|れる|られる|せる|える|てる|でる"
    r"|ている|ていた|ください|かな|よね|だよ|だね|のか|わけ|こと|とは|には|では|から|まで|なら|ほど|だけ|ながら|たち|ね|よ"
    r"|(?:っ|い|し|け|べ|め|れ|え|せ|ね)て|[はがをにでもへ])$"
)
_VERB: Final = re.compile(
    rf"[{_KANJI}][ぁ-ん]{{0,3}}[うくぐすつぬぶむる]$|[{_KANJI}ぁ-ん]んだ$|[{_KANJI}][ぁ-ん]{{0,2}}た$"
)
"""Dictionary form and past of a verb."""
_STEMS: Final = (
    "長短高低安早速遅遠近深浅広狭重軽強弱多良悪若古暑寒熱甘辛苦暗赤青白黒丸太細痛眠怖硬固凄酷鋭臭薄厚濃緩渋偉無"
)
_ADJECTIVE: Final = re.compile(rf"(?:[{_STEMS}]|[{_KANJI}ぁ-ん](?:し|な|か))い(?:$|[{_KANJI}])")
_SERIES: Final = re.compile(r"第[0-9一二三四五六七八九十百]+[話回章部弾巻夜日]|^[Vv]ol|^[Nn]o\.?\s*\d|^その[0-9一二三]")
_TITLE_END: Final = re.compile(
    r"(?:\d+選|理由|方法|コツ|秘訣|手順|始め方|作り方|選び方|使い方|続け方|書き方|やり方|歩き方|の話|の日々|の記録|した件|[^短中長掌]編|入門|ガイド|まとめ)$"
)
_MOMENT: Final = re.compile(r"[0-9一二三四五六七八九十]+(?:歳|年|月|日|時|度|回|年目)$")
_AMOUNT: Final = re.compile(r"^[約計月]?[0-9.一二三四五六七八九十百千万]+(?:円|万円|個|杯|匹|枚|冊|人|人家族|泊|畳)$")
_COUNTED: Final = re.compile(r"^[一二三四五六七八九十]")
"""What begins with a number in words: a title where all pieces do (`一汁一菜、二勤一休、三人家族`)."""
_KATAKANA: Final = re.compile(r"[ァ-ヶー]+")
_NAME: Final = re.compile(r"[ァ-ヶー=]+|[A-Z]\.?")
_JAPANESE: Final = re.compile(rf"[{_KANJI}ぁ-んァ-ヶ]")
_PROSE_WORDS: Final = re.compile(
    r"\b(?:an?|and|are|as|at|be|but|by|can|do|for|from|has|have|how|in?|is|its?|me|my|no|not|of|on|or|our|that|the|they"
    r"|this|to|was|we|what|when|where|who|why|with|without|your?)\b",
    re.IGNORECASE,
)
_MAX_TAG_CHARS: Final = 12
_MAX_KATAKANA_CHARS: Final = 20
_MAX_LATIN_CHARS: Final = 24
_MAX_LATIN_WORDS: Final = 3
_PAIR: Final = 2
_THREE: Final = 3
_MAX_NAME: Final = 3
"""Katakana pieces joined by middle dots up to so many are a foreign name."""
_LONG_NAME: Final = 7
_FEW: Final = 6
"""Fewer pieces than this are a title as soon as one of them reads like one."""
_MANY: Final = 8
_SHORT: Final = 6
"""Characters of the one piece that may be something else than a noun (`小1の壁`)."""
_MOST: Final = 0.75
_COMPLAINT: Final = re.compile(r".{1,4}ない|[ぁ-んァ-ヶー〜~]{1,6}")
"""What people search a remedy for (`眠れない`), or a name in kana with its marks (`ちゅ〜る`)."""
_LEAST_BY: Final = {"|": 2, "#": 3, "/": 2, "・": 2, ",": 2, "、": 3, ";": 2, "emoji": 3}
"""Tags that make a list, by what joins them."""


def is_tag_list(title: str) -> bool:
    """Return whether a title is a list of tags. `title` is in any Unicode form."""
    text = _HASHES.sub("#", unicodedata.normalize("NFKC", title).strip().rstrip(_ELLIPSIS).strip())
    if text.startswith("#") and _all_hash_tags(text):
        return True
    if _BRACKETED.fullmatch(text):
        pieces = re.split(f"[{_OPENING}{_CLOSING}]", text)[1::2]
        return len(pieces) >= (_PAIR if text[0] in "【[" else _THREE) and _mostly([_is_tag(piece) for piece in pieces])
    if _NO_LIST.search(text):
        return False
    text = _NUMBER_COMMA.sub("", text)
    parts = _SPLIT.split(text)
    joints = [joint for joint in _undecorated(parts) if not joint.isspace()]
    if not joints:
        return _spaced(text)
    pieces = _words(parts[::2])
    return len(pieces) >= _PAIR and _joined(pieces, joints)


def _undecorated(parts: list[str]) -> list[str]:
    """Return what joins the pieces; a picture before the first or after the last joins nothing."""
    joints = parts[1::2]
    if joints and not parts[0].strip() and _kind(joints[0]) == "emoji":
        del joints[0]
    if joints and not parts[-1].strip() and _kind(joints[-1]) == "emoji":
        del joints[-1]
    return joints


def _all_hash_tags(text: str) -> bool:
    """Two hash tags or more and nothing else, or one hash tag that is a plain word."""
    tags = _HASH_TAG.findall(text)
    rest = _HASH_TAG.sub("", text).strip(" 、,・|/")
    if len(tags) == 1 and (not _is_tag(tags[0][1:]) or tags[0][1:2].isdigit()):
        return False
    return bool(tags) and not rest


def _words(parts: list[str]) -> list[str]:
    """Return what stands between the joints; of a Japanese piece that is itself a row of tags, its words."""
    found = []
    for part in parts:
        words = part.split()
        if len(words) > 1:
            piece = part.strip()
            found += words if not piece.isascii() and all(map(_is_tag, words)) else [piece]
        else:
            found += words
    return found


def _joined(pieces: list[str], joints: list[str]) -> bool:
    """Judge pieces by what joins them: enough, all of them tags, none that reads like a part of a title."""
    kinds = set(map(_kind, joints))
    kind = next((one for one in _LEAST_BY if one in kinds), "emoji")
    if len(pieces) < max(_LEAST_BY[one] for one in kinds) or any(map(_SERIES.search, pieces)):
        return False
    tags = [_is_tag(piece) for piece in pieces]
    if len(pieces) >= _FEW:
        enough = len(pieces) if kind in "、,・" and len(pieces) < _MANY else _MOST * len(pieces)
        return sum(tags) >= enough and (kind == "|" or tags[-1])
    wrong = [piece for piece, tag in zip(pieces, tags, strict=True) if not tag]
    if any(map(_TITLE_END.search, pieces)) or (any(map(str.isdecimal, pieces)) and not _holds_a_model(pieces, kind)):
        return False
    if wrong and not (_mostly(tags) and tags[-1] and len(wrong[0]) <= _SHORT):
        return False
    return not (_is_name(pieces, joints) or _is_enumeration(pieces, kind))


def _holds_a_model(pieces: list[str], kind: str) -> bool:
    """One bare number between words that bars join names a thing (`古着|ヴィンテージ|501|赤耳`), it counts nothing."""
    numbers = [index for index, piece in enumerate(pieces) if piece.isdecimal()]
    return kind == "|" and len(pieces) > _THREE and len(numbers) == 1 and 0 < numbers[0] < len(pieces) - 1


def _mostly(tags: list[bool]) -> bool:
    """All are tags; or all but one, where there are four or more."""
    return sum(tags) >= len(tags) - (len(tags) > _THREE)


@functools.lru_cache(maxsize=1 << 12)
def _kind(joint: str) -> str:
    """Return what joins two pieces, by the sign that says most."""
    for sign in ("|", "#", "/", "、", ",", ";", "・"):
        if sign in joint or (sign == "|" and any(bar in joint for bar in STRONG[1:4])):
            return sign
    return "・" if any(dot in joint for dot in "•·‧") else "emoji"


def _is_name(pieces: list[str], joints: list[str]) -> bool:
    """A foreign name (`レオナルド・ダ・ヴィンチ`), or two terms of the trade (`TCP/IP`)."""
    if len(pieces) <= _MAX_NAME and all(joint == "・" for joint in joints):
        longest = min(map(len, pieces)) >= _LONG_NAME  # a name has a short part
        return all(map(_NAME.fullmatch, pieces)) and not longest
    return len(pieces) == _PAIR and joints == ["/"] and all(piece.isascii() for piece in pieces)


def _is_enumeration(pieces: list[str], kind: str) -> bool:
    """A title of bare nouns (`三十歳、無職、秋`; `Small Team, Big Rewrite, No Regrets`)."""
    if all(piece.isascii() for piece in pieces):
        few = len(pieces) <= _MAX_NAME
        capitals = all(piece[0].isupper() for piece in pieces) and not all(map(str.isupper, pieces))
        return (
            kind in {",", "/"}
            and capitals
            and (len(pieces) < _THREE or (few and any(" " in piece for piece in pieces)))
        )
    if kind == "、" and (any(map(_AMOUNT.search, pieces)) or all(map(_COUNTED.search, pieces))):
        return True
    if len(pieces) > _THREE:
        return False
    if kind in "、・" and "の" in _LEXICAL.sub("", pieces[-1]):
        return True  # `30代・40代・50代の転職`
    return kind == "、" and any(len(piece) == 1 or _MOMENT.search(piece) for piece in pieces)


def _spaced(text: str) -> bool:
    """Three words or more with nothing but spaces between them, as one types them into a search."""
    pieces = text.split()
    if len(pieces) < _THREE or any(map(_SERIES.search, pieces)) or _TITLE_END.search(pieces[-1]):
        return False
    japanese = sum(bool(_JAPANESE.search(piece)) for piece in pieces)
    tags = [_is_tag(piece) for piece in pieces]
    return _PAIR * japanese > len(pieces) and _searched(pieces, tags) and not any(map(str.isdecimal, pieces))


def _searched(pieces: list[str], tags: list[bool]) -> bool:
    """All are tags; or of four or more all but one between them (`夜勤 看護師 眠れない 対策`), which tells no story."""
    wrong = [piece for piece, tag in zip(pieces, tags, strict=True) if not tag]
    return not wrong or (_mostly(tags) and tags[0] and tags[-1] and bool(_COMPLAINT.fullmatch(wrong[0])))


@functools.lru_cache(maxsize=1 << 16)
def _is_tag(piece: str) -> bool:
    """Return whether one piece is a bare noun."""
    if piece.isascii():
        short = len(piece) <= _MAX_LATIN_CHARS and len(piece.split()) <= _MAX_LATIN_WORDS
        return short and not _PROSE_WORDS.search(piece) and not _PROSE_MARK.search(piece)
    bare = _LEXICAL.sub("子", piece)
    if _PERSON.fullmatch(bare):
        return True
    limit = _MAX_KATAKANA_CHARS if _KATAKANA.fullmatch(piece) else _MAX_TAG_CHARS
    if len(piece) > limit or _OF.search(bare) or _PROSE_MARK.search(piece) or _PARTICLE.search(bare):
        return False
    return not (_SPEAKER.search(bare) or _PROSE_END.search(bare) or _VERB.search(bare) or _ADJECTIVE.search(bare))
