"""The digest of what a recipe says about the making of a model. It stands in every GGUF file."""

from __future__ import annotations

from typing import Any

from pipeline.digest import digest_json
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
    return {
        name: {key: value for key, value in table.items() if key not in NAMED_OTHERWISE.get(name, ())}
        for name, table in recipe.slice(*DECIDING).items()
    }
