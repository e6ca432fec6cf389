"""A text in the one form in which facts are looked for: the same number or date always looks the same.

A number becomes its value between two marks, so `10人` is not found within `110人`. A date, in whatever form,
becomes `year 年 month 月 day 日` of the western calendar, so the year `1899年` is found within `明治32年4月1日`.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable
from typing import Final

from . import numbers
from .eras import ERAS, LETTERS, is_date, western

OPEN, CLOSE = "\ue000", "\ue001"
"""Marks around a number; private-use characters, which are taken out of every text first."""
_PRIVATE: Final = re.compile("[\ue000-\uf8ff]")
_SPACE: Final = re.compile(r"(?<![A-Za-z0-9]) | (?![A-Za-z0-9])")
_BESIDE_DIGIT: Final = re.compile(r"(?<=[A-Za-z]) (?=[0-9])|(?<=[0-9]) (?=[A-Za-z])")
"""`iPhone 15` is `iPhone15`, `100 km` is `100km`; between two words or two numbers a space keeps them apart."""
_DASH: Final = re.compile("(?<=[0-9])[\u2010-\u2015\u2212](?=[0-9])")
_MINUS: Final = re.compile(r"(?<![^\sぁ-ん(「:])[-\u2212](?=[0-9])|[▲△](?=[0-9])")
_COUNTED: Final = "年月日時分秒週人名円社店件個つ回度歳才代階台本枚冊頭匹倍割位番号期次章条項点種校棟部課室席期問"
_KINDS: Final = "カかヶヵケ箇"
_SINGLE: Final = re.compile(rf"[{_COUNTED}%]|パーセント|[{_KINDS}][月国所年]")
"""What makes one kanji numeral a number: `三人`, `四月`, `三か月`, and not `三菱`, `四国`, `千葉`."""

_DOTTED: Final = re.compile(r"(?<![0-9.])([0-9]{4})\.([0-9]{1,2})\.([0-9]{1,2})(?![0-9.])")
_INITIAL: Final = re.compile(
    r"(?<![A-Za-z0-9])([MTSHR])\.?([0-9]{1,2})(?:年|([./-])([0-9]{1,2})\3([0-9]{1,2})(?![0-9]))"
)
_NUMBER: Final = re.compile(rf"(マイナス)?({numbers.RUN})")
_N: Final = f"{OPEN}[0-9]{{1,5}}{CLOSE}"
_Y: Final = rf"(?:(?:{'|'.join(ERAS)})(?:元|{_N})|{_N})"
_DATE: Final = re.compile(
    rf"(?P<year>{_Y})(?:\((?P<within>{_Y})年?\))?年(?:\((?P<beside>{_Y})年?\))?"
    rf"(?:(?P<month>{_N})月(?:(?P<day>{_N})日)?)?"
)
_ISO: Final = re.compile(
    rf"(?<![-/{CLOSE}]){OPEN}([0-9]{{4}}){CLOSE}([-/]){OPEN}([0-9]{{1,2}}){CLOSE}(?:\2{OPEN}([0-9]{{1,2}}){CLOSE})?"
    rf"(?![-/{OPEN}年])"
)
_COUNTER: Final = re.compile(rf"(?<={CLOSE})[{_KINDS}](?=[月国所年])")
_CLOCK: Final = re.compile(rf"(?<!:){OPEN}([0-9]{{1,2}}){CLOSE}:{OPEN}([0-5][0-9]){CLOSE}(?!:)")
_MINUTES: Final = re.compile(rf"(?<={CLOSE}時)(?:半|{OPEN}0{CLOSE}分)")
_WHOLE_UNITS: Final = (("年度", "\ue002"), ("年代", "\ue003"), ("時間", "\ue004"))
"""Units that begin as another one does, and mean something else: `2023年` is not in `2023年度`."""


def plain(text: str) -> str:
    """Return a text with width, case and white space made one; numbers stay as they are written."""
    shown = _PRIVATE.sub("", unicodedata.normalize("NFKC", text))
    return _BESIDE_DIGIT.sub("", _closed_up(shown)).casefold()


@functools.lru_cache(maxsize=1024)
def canonical(text: str) -> str:
    """Return a text with width, case, white space, numbers, dates and times made one."""
    shown = _PRIVATE.sub("", unicodedata.normalize("NFKC", text))
    shown = _closed_up(_MINUS.sub("マイナス", _DASH.sub("-", shown)))
    shown = _DOTTED.sub(r"\1-\2-\3", shown)
    shown = _INITIAL.sub(_spelled_out, shown)
    shown = _BESIDE_DIGIT.sub("", shown)  # after the eras' initials: `type S 8年` is no year of 昭和
    shown = _NUMBER.sub(_marked(shown), shown)
    shown = _COUNTER.sub("か", shown)
    shown = re.sub(rf"{CLOSE}パーセント", f"{CLOSE}%", shown)
    shown = re.sub(rf"[¥\\]({OPEN}[^{CLOSE}]+{CLOSE})(?!円)", r"\1円", shown)
    shown = re.sub(rf"西暦(?={OPEN})", "", shown)
    shown = re.sub(rf"紀元前{OPEN}(?=[0-9]+{CLOSE}年)", f"{OPEN}-", shown)
    shown = re.sub(rf"{OPEN}0+([0-9]+{CLOSE})(?=[年月日時分秒])", rf"{OPEN}\1", shown)
    shown = _ISO.sub(_of_iso, _DATE.sub(_of_date, shown))
    shown = _MINUTES.sub(_of_minutes, _CLOCK.sub(_of_clock, shown))
    for unit, sign in _WHOLE_UNITS:
        shown = shown.replace(f"{CLOSE}{unit}", f"{CLOSE}{sign}")
    return shown.casefold()


def _closed_up(text: str) -> str:
    """Drop white space, but between two Latin letters or digits keep one."""
    return _SPACE.sub("", re.sub(r"\s+", " ", text.strip()))


def _spelled_out(found: re.Match[str]) -> str:
    """Return `M32.4.1` as `明治32年4月1日`."""
    letter, year, _, month, day = found.groups()
    return f"{LETTERS[letter]}{year}年" + (f"{month}月{day}日" if month else "")


def _marked(text: str) -> Callable[[re.Match[str]], str]:
    """Return what replaces a run of numerals within `text`. One kanji numeral alone is a number before a unit only."""

    def mark(found: re.Match[str]) -> str:
        minus, run = found.groups()
        if len(run) == 1 and not run.isascii() and not _is_counted(text, found):
            return found.group()
        return f"{OPEN}{'-' if minus else ''}{numbers.canonical(run)}{CLOSE}"

    return mark


def _is_counted(text: str, found: re.Match[str]) -> bool:
    return _SINGLE.match(text, found.end()) is not None or text[: found.start()].endswith("第")


def _of_date(found: re.Match[str]) -> str:
    """Return a date by the western calendar; a year that is given twice, alike, once."""
    month, day = (_number(found[name]) for name in ("month", "day"))
    year = _western(found["year"], month, day)
    again = [other for name in ("within", "beside") if (other := found[name])]
    apart = [other for other in again if _western(other) != _western(found["year"])]
    head = _refused(found["year"]) if year is None else f"{OPEN}{year}{CLOSE}"
    months = "" if month is None else f"{OPEN}{month}{CLOSE}月"
    days = "" if day is None else f"{OPEN}{day}{CLOSE}日"
    return f"{head}年{months}{days}" + "".join(f"({_year_alone(other)}年)" for other in apart)


def _number(marked: str | None) -> int | None:
    return None if marked is None else int(marked.strip(OPEN + CLOSE))


def _western(written: str, month: int | None = None, day: int | None = None) -> int | None:
    """Return the western year; None where an era had none. A year without an era is taken as it is."""
    era, rest = written[:2], written[2:]
    if era not in ERAS:
        return _number(written)
    year = 1 if rest == "元" else _number(rest)
    return None if year is None else western(era, year, month, day)


def _year_alone(written: str) -> str:
    year = _western(written)
    return _refused(written) if year is None else f"{OPEN}{year}{CLOSE}"


def _refused(written: str) -> str:
    """Return a year that no era had as one sign: it equals nothing but itself, and its number is no `46年`."""
    return f"{OPEN}{written.replace(OPEN, '').replace(CLOSE, '')}{CLOSE}"


def _of_iso(found: re.Match[str]) -> str:
    """Return `1899-04-01` as a date; what is no day of the calendar stays a row of numbers."""
    year, month = int(found[1]), int(found[3])
    day = int(found[4]) if found[4] else None
    if not is_date(year, month, day):
        return found.group()
    return f"{OPEN}{year}{CLOSE}年{OPEN}{month}{CLOSE}月" + ("" if day is None else f"{OPEN}{day}{CLOSE}日")


def _of_clock(found: re.Match[str]) -> str:
    """Return `9:30` as `9時30分`."""
    return f"{OPEN}{int(found[1])}{CLOSE}時{OPEN}{int(found[2])}{CLOSE}分"


def _of_minutes(found: re.Match[str]) -> str:
    """Return `9時半` as `9時30分`, and `9時0分` as `9時`."""
    return f"{OPEN}30{CLOSE}分" if found[0] == "半" else ""
