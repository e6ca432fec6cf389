"""What a plot shows, as data. `drawing.py` makes pictures of these, and `report.json` holds them as they are.

Colours are chosen there, from a palette that colour-blind readers tell apart, and follow the page's theme; kinds of
lines and marks differ as well, so that no colour is the only sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Style = Literal["line", "thin", "steps", "points"]
"""`line`; `thin` is a pale one for what is noisy; `steps` is a histogram's outline; `points` are marks on a line."""
Sign = Literal["good", "bad", "none"]


@dataclass(frozen=True)
class Series:
    """One named curve: (x, y) in order. `style` says how it is drawn."""

    name: str
    points: Sequence[tuple[float, float]]
    style: Style = "line"


@dataclass(frozen=True)
class Curves:
    """Curves over one pair of axes. `marks` are vertical lines with a word: (x, word). Log axes take values over 0."""

    series: Sequence[Series]
    x: str
    y: str
    marks: Sequence[tuple[float, str]] = ()
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True)
class Interval:
    """One row of a forest plot: a value between two bounds. `sign` says what the verdict was."""

    label: str
    value: float
    low: float
    high: float
    sign: Sign = "none"


@dataclass(frozen=True)
class Forest:
    """Intervals against zero, in panels: (what the axis measures, its rows). Rows of one panel share an axis."""

    panels: Sequence[tuple[str, Sequence[Interval]]]


@dataclass(frozen=True)
class Points:
    """Named points: (name, x, y)."""

    points: Sequence[tuple[str, float, float]]
    x: str
    y: str


Chart = Curves | Forest | Points


def as_data(chart: Chart) -> dict[str, Any]:
    """Return a chart as JSON values."""
    return {"kind": type(chart).__name__, **asdict(chart)}
