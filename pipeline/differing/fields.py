"""Two JSON values held against each other, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

ABSENT: Final = "(absent)"
_SHOWN_CHARS: Final = 100


@dataclass(frozen=True)
class Field:
    """One place where two values differ: its path (`stages.train.files[2].sha256`) and both values, shortened."""

    path: str
    first: str
    second: str

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def differing_fields(first: Any, second: Any, path: str = "") -> Iterator[Field]:
    """Yield the places where two JSON values differ, in the order of the first one's keys.

    Lists of one length are compared item by item. Of lists of two lengths the first item that differs is named, and
    the lengths: behind it everything may only have moved.
    """
    if isinstance(first, dict) and isinstance(second, dict):
        for key in [*first, *(key for key in second if key not in first)]:
            named = shown(str(key))
            yield from _entry(first, second, key, f"{path}.{named}" if path else named)
    elif isinstance(first, list) and isinstance(second, list):
        yield from _items(first, second, path)
    elif type(first) is not type(second) or first != second:
        yield Field(path, shown(first), shown(second))


def _entry(first: dict[str, Any], second: dict[str, Any], key: str, path: str) -> Iterator[Field]:
    if key not in second:
        yield Field(path, shown(first[key]), ABSENT)
    elif key not in first:
        yield Field(path, ABSENT, shown(second[key]))
    else:
        yield from differing_fields(first[key], second[key], path)


def _items(first: list[Any], second: list[Any], path: str) -> Iterator[Field]:
    for at, (one, other) in enumerate(zip(first, second, strict=False)):
        found = list(differing_fields(one, other, f"{path}[{at}]"))
        yield from found
        if found and len(first) != len(second):
            break
    if len(first) != len(second):
        yield Field(f"{path} (length)", str(len(first)), str(len(second)))


def shown(value: Any) -> str:
    """Return a value in one short line; what a terminal would not show, or would obey, is escaped."""
    text = value if isinstance(value, str) else repr(value)
    if not text.isprintable():
        text = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}… ({len(text):,} characters)"
