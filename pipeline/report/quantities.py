"""Figures for a reader, each with the number behind it, and foreign text made safe to look at."""

from __future__ import annotations

import re
import unicodedata

from pipeline.report.blocks import Value

NOTHING = Value("–")
"""Stands where there is no figure. It is not zero."""


def visible(text: str, characters: int | None = None) -> str:
    """Return foreign text as one line that hides nothing, cut to `characters`.

    Line breaks show as `⏎`, other control and format characters (which can hide or reorder text) as `�`.
    """
    one_line = re.sub(r"\r\n|[\r\n\u2028\u2029]", "⏎", text)
    shown = "".join("�" if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Co") else one for one in one_line)
    return shown if characters is None else cut(shown, characters)


def cut(text: str, characters: int) -> str:
    """Return a text of at most so many characters."""
    return text if len(text) <= characters else text[: characters - 1] + "…"


def size(count: int) -> Value:
    """Return a number of bytes, in decimal units."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= scale:
            return Value(f"{count / scale:.2f} {unit}", count)
    return Value(f"{count} B", count)


def share(count: float, total: float) -> Value:
    """Return a part of a whole in percent; nothing of nothing is no share."""
    return Value(f"{100 * count / total:.1f} %", round(count / total, 6)) if total else NOTHING


def number(value: float | str | None) -> Value | str:
    """Return a value of a verdict or metric: at most four significant decimals, a digest cut to 16 characters.

    A value that is text stays text, cut to 80 characters.
    """
    if value is None:
        return NOTHING
    if isinstance(value, str):
        return value[:16] + "…" if re.fullmatch(r"[0-9a-f]{64}", value) else cut(value, 80)
    return Value(f"{value:,}" if isinstance(value, int) else f"{value:.4g}", value)


def signed(value: float | None) -> Value:
    """Return a difference with its sign."""
    return NOTHING if value is None else Value(f"{value:+.4g}" if value else "0", value)


def fixed(value: float, digits: int) -> Value:
    """Return a number with so many decimals."""
    return Value(f"{value:.{digits}f}", value)
