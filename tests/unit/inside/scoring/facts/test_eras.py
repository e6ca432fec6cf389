"""Years of the eras, with their limits."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.inside.scoring.facts.eras import ERAS, western


@pytest.mark.parametrize(
    ("era", "year", "found"),
    [
        ("明治", 1, 1868),
        ("明治", 32, 1899),
        ("明治", 45, 1912),
        ("明治", 46, None),
        ("大正", 1, 1912),
        ("大正", 15, 1926),
        ("大正", 16, None),
        ("昭和", 1, 1926),
        ("昭和", 64, 1989),
        ("昭和", 65, None),
        ("平成", 31, 2019),
        ("平成", 32, None),
        ("令和", 1, 2019),
        ("令和", 6, 2024),
        ("明治", 0, None),
    ],
)
def test_an_era_has_its_years_and_no_others(era: str, year: int, found: int | None) -> None:
    """There is no 明治46年."""
    assert western(era, year) == found


@settings(deadline=None)
@given(st.dates(date(1868, 1, 1), date(2100, 1, 1)))
def test_each_day_has_one_era(day: date) -> None:
    """No gap and no overlap: 大正元年7月29日 does not exist, 明治45年7月29日 does."""
    named = []
    for era, (first, _) in ERAS.items():
        found = western(era, day.year - first[0] + 1, day.month, day.day)
        named += [era] if found == day.year else []
    assert len(named) == 1


@pytest.mark.parametrize(
    ("era", "year", "month", "day"),
    [
        ("大正", 1, 7, 29),
        ("明治", 45, 7, 30),
        ("昭和", 64, 1, 8),
        ("平成", 1, 1, 7),
        ("令和", 6, 2, 30),
        ("令和", 6, 13, 1),
    ],
)
def test_a_day_outside_is_none(era: str, year: int, month: int, day: int) -> None:
    """Nor is a day that no calendar has."""
    assert western(era, year, month, day) is None
