"""The digest of what a recipe says about the making of a model. It stands in every GGUF file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipeline.digest import digest_json

if TYPE_CHECKING:
    from pipeline.recipe import Recipe

DECIDING = ("base", "data", "columns", "clean", "split", "prompt", "train", "merge", "numerics")
"""Tables that decide the weights: those that the stages up to `merge` read."""

NAMED_OTHERWISE = {"base": {"licence", "path", "pre_tokenizer"}, "data": {"licence", "files"}}
"""Keys of these tables that do not count. No weight hangs on a licence or on the pre-tokenizer, and what a path of
the user's machine leads to has a digest of its own in the file."""


def recipe_digest(recipe: Recipe) -> str:
    """Return the sha256 of the canonical JSON of what decides the weights, defaults filled in.

    Report, release, gates and the types to quantize to do not count: who changes them still has the same model.
    """
    return digest_json(deciding(recipe))


def deciding(recipe: Recipe) -> dict[str, Any]:
    """Return the tables that count, without the keys that do not."""
    return deciding_of(recipe.slice(*DECIDING))


def deciding_of(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return these tables of a recipe, plain values with their defaults, without the keys that do not count."""
    return {
        name: {key: value for key, value in table.items() if key not in NAMED_OTHERWISE.get(name, ())}
        for name, table in tables.items()
    }
