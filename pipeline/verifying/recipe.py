"""The recipe as it was written, as it was understood, and as the models name it: three forms that have to be one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from pipeline.digest import digest_json
from pipeline.recipe_digest import DECIDING, deciding_of
from pipeline.releasing.layout import MANIFEST, PROVENANCE, RECIPE
from pipeline.toml_text import MAX_BYTES, parse
from pipeline.verifying.folder import Opened
from pipeline.verifying.papers import failed, member

_TOLD = "buildDefinition/externalParameters/recipe"
_MADE_BY = "convert"
NAMED_BY_CONTENT = {"train": {"repeat"}, "evaluate": {"unanswerable", "neutral"}, "data": {"overrules"}}
"""Keys whose value is in no artifact: what a file holds counts, not its name; a second training is another stage."""
USUAL = {"train": {"processes": 1, "sharding": "none", "deterministic": True, "packing": False}}
"""Keys that are left out where they say what holds without them."""


def resolved_recipe(release: Opened) -> dict[str, Any]:
    """Return the recipe with its defaults, as the provenance tells it. Raises ReleaseError."""
    return member(release.statements.provenance, f"{_TOLD}/resolved", dict, PROVENANCE)


def resolved_digest(release: Opened) -> str:
    """Return the digest of what decides the weights (docs/gguf-metadata.md), made anew. Raises ReleaseError."""
    resolved = resolved_recipe(release)
    return digest_json(deciding_of({name: member(resolved, name, dict, PROVENANCE) for name in DECIDING}))


def recipe_problems(release: Opened) -> Iterator[str]:
    """Give what is wrong with the recipe: file, digest, text, values and the digest in the models have to agree."""
    told = member(release.statements.provenance, _TOLD, dict, PROVENANCE)
    text, sha256 = member(told, "text", str, PROVENANCE), member(told, "sha256", str, PROVENANCE)
    if hashlib.sha256(text.encode()).hexdigest() != sha256:
        yield "the recipe's text in the provenance is not the one of its digest"
    if RECIPE not in release.entries or release.entries[RECIPE].sha256 != sha256:
        yield f"{RECIPE} is another than the one that the provenance names"
    yield from _differing(_parsed(text), resolved_recipe(release), "")
    made_of = member(release.manifest, f"stages/{_MADE_BY}/components/parameters/recipe_sha256", str, MANIFEST)
    if made_of != resolved_digest(release):
        yield "the models name the digest of another recipe than the provenance tells"


def _parsed(text: str) -> dict[str, Any]:
    """Return what the recipe's text says. Raises ReleaseError for what is no TOML, or longer than a recipe may be."""
    if len(text.encode()) > MAX_BYTES:
        raise failed(f"the recipe's text in the provenance has more than {MAX_BYTES:,} bytes", PROVENANCE)
    try:
        return parse(text.removeprefix("\ufeff"))  # recipes may begin with a byte order mark
    except (ValueError, RecursionError) as error:
        raise failed(f"the recipe's text in the provenance cannot be read: {str(error)[:160]}", PROVENANCE) from error


def _differing(written: Any, understood: Any, where: str) -> Iterator[str]:
    """Give each value of the text that was understood otherwise. What the text leaves out is a default."""
    if isinstance(written, dict) and isinstance(understood, dict):
        for key, value in written.items():
            if key in understood:
                yield from _differing(value, understood[key], f"{where}.{key}" if where else key)
            elif not _may_be_left_out(where, key, written):
                yield f"the recipe's {where or 'text'} says {key[:60]!r}, the provenance does not"
    elif isinstance(written, list) and isinstance(understood, list) and len(written) == len(understood):
        for at, (one, other) in enumerate(zip(written, understood, strict=True)):
            yield from _differing(one, other, f"{where}[{at}]")
    elif isinstance(written, bool) != isinstance(understood, bool) or written != understood:
        yield f"the recipe says {where} = {str(written)[:60]!r}, the provenance says {str(understood)[:60]!r}"


def _may_be_left_out(where: str, key: str, written: dict[str, Any]) -> bool:
    """Tell whether a key counts for nothing as it was written, and has no place among the values (recipe.py)."""
    if where == "quantize":  # without an importance matrix nothing about one
        return written.get("imatrix") is not True
    if key in NAMED_BY_CONTENT.get(where, ()):
        return True
    usual = USUAL.get(where, {})
    return key in usual and written[key] == usual[key]
