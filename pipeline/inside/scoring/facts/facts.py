"""What a question's answer must hold and must not hold, and which of it an answer does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .reading import OPEN, canonical, plain

REQUIRED, FORBIDDEN = "must_contain", "must_not_contain"
Fact = tuple[str, ...]
"""Variants, of which one suffices."""

_FORM: Final = 'a list is expected, of texts and of lists of variants, such as [["1899年", "明治32年"], "東京"]'


@dataclass(frozen=True)
class Facts:
    """The facts of one question."""

    required: tuple[Fact, ...] = ()
    forbidden: tuple[Fact, ...] = ()

    @classmethod
    def of(cls, found: Mapping[str, Any] | None) -> Facts:
        """Take the facts of a prepared row, or of a prompt."""
        return cls(*(tuple(tuple(one) for one in (found or {}).get(name, ())) for name in (REQUIRED, FORBIDDEN)))

    def __bool__(self) -> bool:
        return bool(self.required or self.forbidden)

    def missing(self, text: str) -> list[str]:
        """Return the facts that a text must hold and does not, each with its variants."""
        return [shown(fact) for fact in self.required if not holds(text, fact)]

    def broken(self, text: str) -> list[str]:
        """Return the facts that a text must not hold and does."""
        return [shown(fact) for fact in self.forbidden if holds(text, fact)]

    def accuracy(self, text: str) -> float | None:
        """Return the share of the required facts that a text holds; 0 with a forbidden one, None without any fact."""
        if not self:
            return None
        if self.broken(text):
            return 0.0
        return 1 - len(self.missing(text)) / len(self.required) if self.required else 1.0

    def contradictions(self) -> list[str]:
        """Return the required facts of which every variant holds a forbidden one: no answer could be right."""
        return [
            shown(fact)
            for fact in self.required
            if all(any(holds(variant, other) for other in self.forbidden) for variant in fact)
        ]


def shown(fact: Fact) -> str:
    """Return a fact for a reader."""
    return " / ".join(fact)


def holds(text: str, fact: Fact) -> bool:
    """Tell whether a text holds one of a fact's variants."""
    return any(_holds(text, variant) for variant in fact)


def _holds(text: str, variant: str) -> bool:
    wanted = canonical(variant)
    if OPEN in wanted:
        return _stands_in(wanted, canonical(text))
    return _stands_in(plain(variant), plain(text))


def _stands_in(wanted: str, text: str) -> bool:
    """Tell whether `wanted` stands in a text, and not within a longer Latin word."""
    at = text.find(wanted)
    while at >= 0:
        end = at + len(wanted)
        if not _is_one_word(text[at - 1 : at], wanted[0]) and not _is_one_word(wanted[-1], text[end : end + 1]):
            return True
        at = text.find(wanted, at + 1)
    return False


def _is_one_word(before: str, after: str) -> bool:
    return _is_latin(before) and _is_latin(after)


def _is_latin(sign: str) -> bool:
    return sign.isascii() and sign.isalpha()


def parse(value: Any) -> tuple[Fact, ...]:
    """Return the facts that a cell of a raw row holds: a list, or the same as JSON text; null and empty text are none.

    Raises `ValueError`, with what is wrong in words.
    """
    if isinstance(value, str):
        if not value.strip():
            return ()
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError(f"is no JSON; {_FORM}") from None
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ValueError(_FORM)  # noqa: TRY004 - one error for whatever a row holds
    return tuple(_fact(one, number) for number, one in enumerate(value, start=1))


def _fact(value: Any, number: int) -> Fact:
    variants: Sequence[Any] = value if isinstance(value, list) else [value]
    if not variants or not all(isinstance(one, str) for one in variants):
        raise ValueError(f"fact {number} is neither a text nor a list of texts; {_FORM}")
    for one in variants:
        if not one.isprintable() and any("\ud800" <= sign <= "\udfff" for sign in one):
            raise ValueError(f"fact {number} holds half of a surrogate pair")
        if not any(sign.isalnum() for sign in plain(one)):
            raise ValueError(f"fact {number} holds no letter and no digit: there is nothing to look for")
    return tuple(variants)
