"""Markdown that also reads well as plain text: aligned tables, and texts that cannot break out of their cell."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

_ACTIVE = re.compile(r"[\\`*\[\]|~$]|<(?=[A-Za-z/!?])|(?<!\w)_|_(?!\w)|&(?=#?\w+;)|^[-+#>]|(?<=^\d)[.)]|(?<=^\d\d)[.)]")
"""What Markdown could read as markup. An underscore within a word (`Q4_K_M`) is none; signs of a heading or list are
some only at the start of a text."""
_BARS = "▁▂▃▄▅▆▇█"


def escaped(text: str, characters: int | None = None) -> str:
    """Return foreign text for a line or cell: one line, nothing in it is markup, cut to `characters`.

    Line breaks show as `⏎`, other control and format characters (which can hide or reorder text) as `�`.
    """
    one_line = re.sub(r"\r\n|[\r\n\u2028\u2029]", "⏎", text)
    shown = "".join("�" if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Co") else one for one in one_line)
    if characters is not None and len(shown) > characters:
        shown = shown[: characters - 1] + "…"
    return _ACTIVE.sub(lambda match: "\\" + match.group(), shown)


def code(text: str) -> str:
    """Return a name as code. Only for names that the pipeline itself gives: they hold no backtick."""
    return f"`{text}`"


def width(text: str) -> int:
    """Return how many columns a text takes in a fixed-width font: Chinese characters and kana take two."""
    return sum(0 if unicodedata.combining(one) else _columns(one) for one in text)


def _columns(character: str) -> int:
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def table(header: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return a table, columns padded to equal width; those numbered in `right` are aligned to the right.

    Cells must be escaped already.
    """
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(3, *(width(line[at]) for line in lines)) for at in range(len(header))]
    rule = ["-" * (size - 1) + ":" if at in right else "-" * size for at, size in enumerate(widths)]
    padded = [[_padded(cell, widths[at], right=at in right) for at, cell in enumerate(line)] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in [padded[0], rule, *padded[1:]])


def _padded(cell: str, size: int, *, right: bool) -> str:
    space = " " * (size - width(cell))
    return space + cell if right else cell + space


def sparkline(values: Sequence[float]) -> str:
    """Return a curve as one line of bars, the lowest value the lowest bar; a constant curve is all low."""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return "".join(_BARS[min(len(_BARS) - 1, int((value - low) / span * len(_BARS)))] for value in values)


def size(count: int) -> str:
    """Return a number of bytes for a reader, in decimal units, with the exact number."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= scale:
            return f"{count / scale:.2f} {unit}"
    return f"{count} B"


def number(value: float | str | None) -> str:
    """Return a value of a verdict for a cell: at most four significant decimals, a digest cut to 16 characters."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return escaped(value[:16] + "…" if re.fullmatch(r"[0-9a-f]{64}", value) else value, 80)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
