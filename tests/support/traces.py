"""What a release folder tells of the machine that made it: words that were planted there, and the hours of the making.

Everything is searched: the bytes of every file, what stands in base64 inside of them (envelopes, signatures, pictures
of a page), and the values in the headers of GGUF files, where a time could be a number.
"""

from __future__ import annotations

import base64
import datetime as dt
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.inside.gguf_header import read_header

_BASE64 = re.compile(rb"[A-Za-z0-9+/]{16,}={0,2}")
_NUMBER = re.compile(rb"(?<![0-9A-Za-z])(\d{10}(?:\d{3}|\d{6}|\d{9})?)(?![0-9A-Za-z])")
"""Seconds, milliseconds, microseconds or nanoseconds since 1970, for dates from 2001 on."""
_DAYS = ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d %b %Y", "%b %d %Y", "%b %d, %Y", "%d %B %Y")
_ZONES = (-12, 0, 14)
"""Hours from UTC. Between the first and the last lies every date that a clock on Earth shows at one moment."""
_UNITS = (1, 10**3, 10**6, 10**9)


@dataclass(frozen=True)
class Span:
    """The hours in which something was made, in seconds since 1970."""

    start: float
    end: float

    def holds(self, number: float) -> bool:
        """Tell whether a number is a moment in it, in any of the usual units."""
        return any(self.start <= number / unit <= self.end for unit in _UNITS)

    def days(self) -> set[bytes]:
        """Return the dates in it, as people and programs write them."""
        found = set()
        for moment in (*range(int(self.start), int(self.end), 3600), self.end):
            for hours in _ZONES:
                there = dt.datetime.fromtimestamp(moment, dt.timezone(dt.timedelta(hours=hours)))
                found |= {there.strftime(form).encode() for form in _DAYS}
        return found


def traces(folder: Path, words: Iterable[str], span: Span | None = None) -> list[str]:
    """Return what was found, each with its file; empty for a folder that tells nothing. Without a span no times."""
    return sorted({*_words(folder, words), *(_times(folder, span) if span is not None else ())})


def _words(folder: Path, words: Iterable[str]) -> Iterator[str]:
    wanted = list(words)
    for path in folder.iterdir():
        for data in _layers(path.read_bytes()):
            yield from (f"{path.name}: {word}" for word in wanted if word.encode() in data)


def _times(folder: Path, span: Span) -> Iterator[str]:
    days = span.days()
    for path in folder.iterdir():
        for data in _layers(path.read_bytes()):
            yield from (f"{path.name}: {day.decode()}" for day in days if _stands_alone(day, data))
            yield from (f"{path.name}: {told.decode()}" for told in _NUMBER.findall(data) if span.holds(int(told)))
        if path.suffix == ".gguf":
            keys = read_header(path).keys
            yield from (f"{path.name}: {name}" for name in keys if any(map(span.holds, _numbers(keys[name]))))


def _layers(data: bytes) -> Iterator[bytes]:
    """Give the bytes, and whatever stands in them in base64, to any depth."""
    yield data
    for match in _BASE64.finditer(data):
        text = match[0].rstrip(b"=")
        yield from _layers(base64.b64decode(text[: len(text) - (len(text) % 4 == 1)] + b"=="))


def _stands_alone(day: bytes, data: bytes) -> bool:
    return day in data and re.search(rb"(?<![0-9A-Za-z])" + re.escape(day) + rb"(?![0-9])", data) is not None


def _numbers(value: Any) -> Iterator[float]:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, int | float):
            yield one
