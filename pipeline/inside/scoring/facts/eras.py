"""Years and dates of the Japanese eras, with their limits: there is no 明治46年, and no 大正元年7月29日."""

from __future__ import annotations

from calendar import monthrange
from typing import Final

Day = tuple[int, int, int]

ERAS: Final[dict[str, tuple[Day, Day]]] = {
    "明治": ((1868, 1, 1), (1912, 7, 29)),
    "大正": ((1912, 7, 30), (1926, 12, 24)),
    "昭和": ((1926, 12, 25), (1989, 1, 7)),
    "平成": ((1989, 1, 8), (2019, 4, 30)),
    "令和": ((2019, 5, 1), (9999, 12, 31)),
}
"""First and last day. By law 1912-07-30 and 1926-12-25 belong to two eras; here a day has one. 明治元年 counts from its
new year, as the edict of 1868 has it. Days before 1873, when the calendar changed, are taken as they are written."""

LETTERS: Final = {"M": "明治", "T": "大正", "S": "昭和", "H": "平成", "R": "令和"}
_MONTHS: Final = 12


def western(era: str, year: int, month: int | None = None, day: int | None = None) -> int | None:
    """Return the western year of a year of an era; None when the era had no such year, month or day."""
    first, last = ERAS[era]
    found = first[0] + year - 1
    if year < 1 or not is_date(found, month, day):
        return None
    begin = (found, month or 1, day or 1)
    end = (found, month or _MONTHS, day or (31 if month is None else monthrange(found, month)[1]))
    return found if begin <= last and end >= first else None


def is_date(year: int, month: int | None = None, day: int | None = None) -> bool:
    """Tell whether there is such a year, month or day in the calendar."""
    if not 1 <= year <= 9999 or (month is not None and not 1 <= month <= _MONTHS):  # noqa: PLR2004 - as datetime
        return False
    return day is None or month is None or 1 <= day <= monthrange(year, month)[1]
