"""The program that paints: charts as JSON on standard input, SVG texts as JSON on standard output.

It is started by `drawing.py`, in an environment of its own. Only here is matplotlib imported.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

INK, SOFT, LINE, GROUND = "#010101", "#020202", "#030303", "#040404"
"""Colours that stand for those of the page (`drawing.SIGNS`), as do those of the series."""
DASHES: Final = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))
MARKS: Final = ("o", "s", "^", "D", "v", "P")
WIDTH_IN: Final = 6.0
_SETTINGS: Final = {
    "svg.hashsalt": "report",
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 10.0,
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "axes.grid": True,
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
}


def main() -> None:
    """Paint every chart."""
    charts = json.load(sys.stdin)
    json.dump({name: painted(chart) for name, chart in charts.items()}, sys.stdout)


def painted(chart: Mapping[str, Any]) -> str:
    """Return one chart as an SVG document."""
    import matplotlib as mpl  # noqa: PLC0415 - half a second, and only here

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)  # type: ignore[arg-type]
        figure = {"Curves": _curves, "Forest": _forest, "Points": _points}[chart["kind"]](chart)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
        return stream.getvalue()


def series_colour(at: int) -> str:
    """Return the colour that stands for a series'."""
    return f"#0000{at % 6 + 1:02x}"


def _figure(height_in: float) -> Any:
    from matplotlib.figure import Figure  # noqa: PLC0415

    return Figure(figsize=(WIDTH_IN, height_in), layout="constrained")


def _curves(chart: Mapping[str, Any]) -> Any:
    figure = _figure(2.8)
    axes = figure.subplots()
    for at, series in enumerate(chart["series"]):
        _plot(axes, series, at)
    for position, word in chart["marks"]:
        axes.axvline(position, color=SOFT, linewidth=1, linestyle=":")
        axes.annotate(
            word, (position, 1), xycoords=("data", "axes fraction"), xytext=(-3, -2), textcoords="offset points",
            ha="right", va="top", color=SOFT, fontsize=9,
        )  # fmt: skip
    axes.set_xlabel(chart["x"])
    axes.set_ylabel(chart["y"])
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        if chart[f"log_{name}"]:
            getattr(axes, f"set_{name}scale")("log")
            _label_powers(axis)
    if len(chart["series"]) > 1:
        axes.legend(loc="best")
    return figure


def _label_powers(axis: Any) -> None:
    """Write powers of ten as `1e-06`: matplotlib's own labels are formulas, which are not parsed here."""
    from matplotlib.ticker import FuncFormatter, NullLocator  # noqa: PLC0415

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _plot(axes: Any, series: Mapping[str, Any], at: int) -> None:
    xs, ys = ([point[which] for point in series["points"]] for which in (0, 1))
    style: dict[str, Any] = {"color": series_colour(at), "label": series["name"], "linestyle": DASHES[at % 6]}
    if series["style"] == "thin":
        style |= {"linewidth": 0.8, "linestyle": "-", "alpha": 0.45}
    if series["style"] == "points":
        style |= {"marker": MARKS[at % 6], "linestyle": "-"}
    if series["style"] == "steps":
        style |= {"drawstyle": "steps-mid"}
    axes.plot(xs, ys, **style)


def _forest(chart: Mapping[str, Any]) -> Any:
    panels: Sequence[tuple[str, Sequence[Mapping[str, Any]]]] = chart["panels"]
    heights = [len(rows) + 1.8 for _, rows in panels]
    figure = _figure(0.28 * sum(heights) + 0.2)
    grid = figure.subplots(len(panels), 1, gridspec_kw={"height_ratios": heights}, squeeze=False)
    for axes, (unit, rows) in zip(grid[:, 0], panels, strict=True):
        _panel(axes, unit, rows)
    return figure


_SIGNS: Final = {"good": (3, "o", True), "bad": (2, "s", True), "none": (1, "o", False)}
"""Sign → series colour, mark, filled."""


def _panel(axes: Any, unit: str, rows: Sequence[Mapping[str, Any]]) -> None:
    axes.axvline(0, color=SOFT, linewidth=1)
    for at, row in enumerate(rows):
        number, mark, filled = _SIGNS[row["sign"]]
        colour = series_colour(number - 1)
        axes.plot([row["low"], row["high"]], [at, at], color=colour, solid_capstyle="butt")
        axes.plot([row["value"]], [at], mark, color=colour, markerfacecolor=colour if filled else GROUND)
    axes.set_yticks(range(len(rows)), [row["label"] for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.margins(x=0.08)
    reach = max((abs(row[bound]) for row in rows for bound in ("low", "high", "value")), default=0) or 1
    left = min(0.0, *(row["low"] for row in rows))
    right = max(0.0, *(row["high"] for row in rows))
    axes.set_xlim(left - 0.08 * reach, right + 0.08 * reach)
    axes.set_xlabel(unit)


def _points(chart: Mapping[str, Any]) -> Any:
    figure = _figure(2.8)
    axes = figure.subplots()
    for at, (name, x, y) in enumerate(chart["points"]):
        axes.plot([x], [y], MARKS[at % 6], color=series_colour(at), markersize=7)
        axes.annotate(name, (x, y), xytext=(7, 5), textcoords="offset points")
    axes.margins(0.18)
    axes.set_xlabel(chart["x"])
    axes.set_ylabel(chart["y"])
    return figure
