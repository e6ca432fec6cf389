"""Numbers as Japanese texts write them."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.inside.scoring.facts import numbers

_DIGITS = "〇一二三四五六七八九"


def spelled(value: int) -> str:
    """Write a number below 10^16 in kanji, by another rule than the one that reads."""
    if value == 0:
        return "〇"
    parts = []
    for unit in ("", "万", "億", "兆"):
        value, group = divmod(value, 10**4)
        text = ""
        for digit, small in zip(f"{group:04d}", ("千", "百", "十", ""), strict=True):
            if digit != "0":
                text += ("" if digit == "1" and small else _DIGITS[int(digit)]) + small
        parts.append(text + unit if text else "")
    return "".join(reversed(parts))


@settings(deadline=None)
@given(st.integers(0, 10**16 - 1))
def test_every_way_to_write_a_number_reads_as_its_value(value: int) -> None:
    """Digits, groups of three, kanji, kanji one by one."""
    row = "".join(_DIGITS[int(digit)] for digit in str(value))
    assert {numbers.read(text) for text in (str(value), f"{value:,}", spelled(value), row)} == {Decimal(value)}


@settings(deadline=None)
@given(st.integers(1, 9_999), st.sampled_from(["万", "億", "兆"]), st.integers(1, 9_999))
def test_digits_before_a_unit_are_multiplied_by_it(high: int, unit: str, low: int) -> None:
    """`12万3,400`."""
    scale = {"万": 10**4, "億": 10**8, "兆": 10**12}[unit]
    assert numbers.read(f"{high}{unit}{low:,}") == high * scale + low
    assert numbers.read(f"{high / 10}{unit}") == Decimal(high) * scale / 10


@pytest.mark.parametrize(
    ("run", "form"),
    [
        ("1.2千", "1200"),
        ("1.20", "1.2"),
        ("3億5,000万", "350000000"),
        ("千", "1000"),
        ("万", "10000"),
        ("二〇二四", "2024"),
        ("0120", "0120"),
        ("0.5", "0.5"),
        ("三四十", "三四十"),
        ("1万2億", "1万2億"),
        ("十千", "十千"),
        ("9" * 5_000, "9" * 5_000),
    ],
)
def test_what_is_no_number_stays_as_it_is(run: str, form: str) -> None:
    """And what is one has one form, without trailing zeros; a code keeps its first zero."""
    assert numbers.canonical(run) == form


@settings(deadline=None)
@given(st.text(alphabet=numbers.KANJI + "0123456789,.", max_size=60))
def test_no_run_of_numerals_raises(text: str) -> None:
    """Whatever a model babbles."""
    for found in re.finditer(numbers.RUN, text):
        assert numbers.canonical(found.group())
