"""Figures for a reader carry the number behind them; what is not measured is no zero."""

from __future__ import annotations

import pytest

from pipeline.report.blocks import Value
from pipeline.report.quantities import NOTHING, number, share, signed, size, visible


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "–"), (3, "3"), (12345, "12,345"), (0.0123456, "0.01235"), ("a" * 64, "a" * 16 + "…"), ("a|b", "a|b")],
)
def test_number(value: float | str | None, expected: str) -> None:
    """Values of verdicts for a cell."""
    found = number(value)
    assert (found if isinstance(found, str) else found.text) == expected


@pytest.mark.parametrize(
    ("count", "expected"), [(999, "999 B"), (2500, "2.50 kB"), (7_340_032, "7.34 MB"), (29_540_000_000, "29.54 GB")]
)
def test_size(count: int, expected: str) -> None:
    """Decimal units, as disks and downloads count."""
    assert size(count) == Value(expected, count)


def test_no_share_of_nothing() -> None:
    """A dash, not zero percent."""
    assert share(0, 0) is NOTHING
    assert share(1, 8) == Value("12.5 %", 0.125)


@pytest.mark.parametrize(("value", "text"), [(0.5, "+0.5"), (-0.5626, "-0.5626"), (0.0, "0"), (None, "–")])
def test_a_difference_has_its_sign(value: float | None, text: str) -> None:
    """So that a gain and a loss are never mixed up."""
    assert signed(value) == Value(text, value)


def test_a_figure_holds_no_markup() -> None:
    """Foreign text cannot pass as a figure."""
    with pytest.raises(ValueError, match="not a formatted figure"):
        Value("<b>1</b>")


def test_what_reorders_text_is_made_visible() -> None:
    """Bidirectional controls, line breaks."""
    assert visible("a\u202eb\nc\u2066") == "a�b⏎c�"
