"""Why a row was dropped: one literal registry, in the order in which the checks are made."""

from __future__ import annotations

from typing import Final

KEPT: Final = 0

REASONS: Final[tuple[str, ...]] = (
    "kept",
    "line-too-long",
    "invalid-utf8",
    "broken-json",
    "broken-csv",
    "missing-field",
    "wrong-type",
    "contradicting-facts",
    "empty",
    "control-characters",
    "replacement-characters",
    "mojibake",
    "truncated",
    "too-short",
    "too-long",
    "wrong-language",
    "tag-list",
    "exact-duplicate",
    "near-duplicate",
    "overruled",
)
"""Index 0 means that the row is kept; every other name may stand in `dropped.jsonl`."""

CODES: Final[dict[str, int]] = {name: code for code, name in enumerate(REASONS)}

FINAL: Final[dict[str, str]] = {
    "line-too-long": "nothing of it was read",
    "invalid-utf8": "it cannot be read as text",
    "broken-json": "it has no fields",
    "broken-csv": "it has no fields",
    "missing-field": "it lacks a field that the recipe reads",
    "wrong-type": "a field is no text, or no list of facts",
    "contradicting-facts": "no answer could hold what it must and must not",
    "empty": "there is nothing to learn from",
    "control-characters": "a tokenizer and a terminal take them for orders",
    "replacement-characters": "what stood there is lost",
    "exact-duplicate": "the same text once more teaches nothing, and would stand in two splits as well as in one",
}
"""Reasons that no person can overrule, and why: mend the raw row instead."""

DUPLICATES: Final[tuple[str, ...]] = ("exact-duplicate", "near-duplicate")
"""Reasons that say nothing against a row's content; all others count as contamination."""
