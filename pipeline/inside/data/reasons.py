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
)
"""Index 0 means that the row is kept; every other name may stand in `dropped.jsonl`."""

CODES: Final[dict[str, int]] = {name: code for code, name in enumerate(REASONS)}

DUPLICATES: Final[tuple[str, ...]] = ("exact-duplicate", "near-duplicate")
"""Reasons that say nothing against a row's content; all others count as contamination."""
