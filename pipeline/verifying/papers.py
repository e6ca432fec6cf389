"""JSON that a stranger wrote: read strictly, within bounds, and looked at only member by member."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pipeline.errors import ReleaseError

MAX_BYTES = 1 << 24
"""Largest paper that is read as JSON (16 MiB). The seedling's manifest has 0.4 MB."""

ADVICE = "get the release again from where it was published; if that is no better, do not use it"

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""The escape of a half of a surrogate pair. In UTF-8 itself there is none."""

Kind = TypeVar("Kind")

_NAMES = {dict: "a table", list: "a list", str: "text", int: "a whole number"}


class UnreadableError(ReleaseError):
    """A paper is missing or cannot be read. The check `papers` tells it; others that need the paper say so."""


def failed(what: str, where: str) -> ReleaseError:
    """Return the error of a check: what is wrong, and in which file."""
    return ReleaseError(what, where=where, advice=ADVICE)


def read_json(content: bytes, name: str) -> Any:
    """Return the value of a JSON text.

    Raises UnreadableError, also for names that stand twice, numbers that are not finite, and halves of surrogate pairs.
    """
    if len(content) > MAX_BYTES:
        raise UnreadableError(f"{name} has more than {MAX_BYTES:,} bytes", where=name, advice=ADVICE)
    try:
        text = content.decode()
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()  # a half without its other half has no UTF-8: ValueError
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{name} cannot be read: {_words(error)}", where=name, advice=ADVICE) from error
    return value


def member(value: Any, path: str, kind: type[Kind], where: str) -> Kind:
    """Return what stands under a dotted path of names. Raises ReleaseError where it is missing or of another type."""
    found = value
    for name in path.split("/"):
        found = found.get(name) if isinstance(found, Mapping) else None
    if type(found) is not kind:
        message = f"{where}: {path.replace('/', '.')} is missing, or is not {_NAMES.get(kind, kind.__name__)}"
        raise failed(message, where)
    return found


def tables(value: Any, path: str, where: str) -> list[dict[str, Any]]:
    """Return a list of tables under a path. Raises ReleaseError for anything else."""
    found = member(value, path, list, where)
    if any(type(one) is not dict for one in found):
        raise failed(f"{where}: {path.replace('/', '.')} holds something that is no table", where)
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        message = "a name stands twice in one table"
        raise ValueError(message)
    return found


def _no_constant(text: str) -> Any:
    message = f"{text} is no JSON"
    raise ValueError(message)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        message = f"{text[:40]} is too large a number"
        raise ValueError(message)
    return number


def _words(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it nests too deep"
    if isinstance(error, UnicodeEncodeError):
        return "it holds half of a surrogate pair"
    return str(error)[:200]
