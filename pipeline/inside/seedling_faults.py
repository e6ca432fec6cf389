"""Faults as found in real title collections (document 000): tag lists, duplicates, broken rows."""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Callable
from typing import Any

Row = dict[str, Any]

TAGS: tuple[str, ...] = (
    *(
        "自己紹介",
        "子育て",
        "ワーママ",
        "20代",
        "30代",
        "40代",
        "50代",
        "副業",
        "会社員",
        "主婦",
        "フリーランス",
        "ブログ",
        "読書",
    ),
    *(
        "日記",
        "エッセイ",
        "毎日更新",
        "初心者",
        "ライフスタイル",
        "節約",
        "投資",
        "健康",
        "ダイエット",
        "旅行",
        "カフェ",
        "料理",
    ),
    *(
        "写真",
        "音楽",
        "映画",
        "育児",
        "教育",
        "転職",
        "起業",
        "地方移住",
        "暮らし",
        "ミニマリスト",
        "英語",
        "勉強",
        "大学生",
        "美容",
    ),
    *(
        "メンタル",
        "恋愛",
        "結婚",
        "仕事",
        "働き方",
        "推し",
        "ゲーム",
        "デザイン",
        "プログラミング",
        "手帳",
        "朝活",
        "note",
        "2児の母",
    ),
)
SEPARATORS: tuple[str, ...] = (
    "｜",
    "｜",
    "｜",
    "|",
    "/",
    "／",
    "・",
    "、",
    "､",
    "，",
    ",",
    " #",
    "＃",
    "｜ ",
    " | ",
    " / ",
)
"""Half and full width; the full-width bar stands three times because it was the commonest."""


def make_tag_list(chance: random.Random) -> str:
    """Return 4 to 10 tags joined by one separator."""
    separator = chance.choice(SEPARATORS)
    text = separator.join(chance.sample(TAGS, chance.randint(4, 10)))
    lead = separator.strip() if separator.strip() in "#＃" else ""
    tail = separator.strip() if not lead and chance.random() < 0.15 else ""
    return lead + text + tail


def _to_full_width(text: str) -> str:
    return "".join(chr(ord(sign) + 0xFEE0) if "0" <= sign <= "9" else sign for sign in text)


def _spaced(text: str, chance: random.Random) -> str:
    place = chance.randint(1, len(text) - 1)
    return text[:place] + chance.choice((" ", "\u3000", "  ")) + text[place:]


def _half_width_punctuation(text: str) -> str:
    return text.translate(str.maketrans("。、「」？！", "｡､｢｣?!"))


def same_title(title: str, chance: random.Random) -> str:
    """Return `title` again: as it is, or with other widths, spaces or punctuation."""
    kind = chance.randrange(6)
    if kind == 1:
        return _to_full_width(title)
    if kind == 2:
        return _spaced(title, chance)
    if kind == 3:
        return _half_width_punctuation(title)
    if kind == 4:
        return title + chance.choice(("！", "。", "!!", "…", " "))
    if kind == 5:
        return unicodedata.normalize("NFD", title) + chance.choice(("", " "))
    return title


def similar_title(title: str, chance: random.Random) -> str:
    """Return a near duplicate: one short ending or opening more, everything else the same."""
    if chance.random() < 0.5:
        return title + chance.choice(("話", "まとめ", "（前編）", "（後編）", "その2", "【再掲】", "です"))
    return chance.choice(("続・", "改訂 ", "追記：", "再び、")) + title


def _cut_in_brackets(row: Row, chance: random.Random) -> Row:
    opening = chance.choice(("【", "「"))
    return {**row, "title": f"{opening}{row['title'][: chance.randint(3, 8)].strip('【】「」')}"}


def _without(field: str) -> Callable[[Row, random.Random], Row]:
    return lambda row, _: {key: value for key, value in row.items() if key != field}


def _with_control(row: Row, chance: random.Random) -> Row:
    place = chance.randint(1, len(row["title"]) - 1)
    return {**row, "title": row["title"][:place] + chance.choice("\x00\x07\x08\x1b\x7f") + row["title"][place:]}


def _with_replacement(row: Row, chance: random.Random) -> Row:
    place = chance.randint(1, len(row["title"]) - 2)
    return {**row, "title": row["title"][:place] + "\ufffd" * chance.randint(1, 3) + row["title"][place + 1 :]}


def _mojibake(row: Row, chance: random.Random) -> Row:
    wrong = chance.choice(("latin-1", "cp932"))
    return {**row, "title": row["title"].encode().decode(wrong, errors="replace")}


BREAKAGES: tuple[tuple[str, Callable[[Row, random.Random], Row]], ...] = (
    ("empty", lambda row, _: {**row, "title": ""}),
    ("empty", lambda row, _: {**row, "title": " \u3000"}),
    ("truncated", _cut_in_brackets),
    ("missing-field", _without("title")),
    ("missing-field", _without("theme")),
    ("missing-field", lambda row, _: {**row, "title": None}),
    ("control-characters", _with_control),
    ("replacement-characters", _with_replacement),
    ("mojibake", _mojibake),
)
BROKEN_JSON = "broken-json"


def break_row(row: Row, turn: int, chance: random.Random) -> tuple[str, str]:
    """Return the kind of fault number `turn` and the line that shows it. The kinds take turns."""
    place = turn % (len(BREAKAGES) + 1)
    if place == len(BREAKAGES):
        line = to_line(row)
        return BROKEN_JSON, line[: len(line) - chance.randint(3, 12)]
    kind, change = BREAKAGES[place]
    return kind, to_line(change(row, chance))


def to_line(row: Row) -> str:
    """Return the row as one line of JSON."""
    return json.dumps(row, ensure_ascii=False)
