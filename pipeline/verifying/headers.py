"""What the GGUF files say of themselves against what the papers say of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.releasing.layout import MANIFEST, PROVENANCE, is_model
from pipeline.verifying.finding import listed
from pipeline.verifying.folder import Opened
from pipeline.verifying.gguf_metadata import read_metadata
from pipeline.verifying.papers import failed, member
from pipeline.verifying.recipe import resolved_digest, resolved_recipe

NAME, VERSION, LICENCE = "general.name", "general.version", "general.license"
IDENTITY = "general.uuid"
RECIPE_DIGEST, ADAPTER_DIGEST = "fine_tune_pipeline.recipe.sha256", "fine_tune_pipeline.adapter.sha256"
"""Keys that the pipeline writes (docs/gguf-metadata.md)."""

_ADAPTER = "adapter/adapter_model.safetensors"
_FIRST_PART = "-00001-of-"


def check_headers(release: Opened) -> str:
    """Compare name, version, licence, recipe and adapter of each file with the papers. Raises ReleaseError."""
    wanted = _wanted(release)
    problems: list[str] = []
    headers = {name: read_metadata(release.folder / name) for name in release.models if _says(name)}
    for name, found in headers.items():
        problems += [
            f"{name}: {key} is {_shown(found.get(key))}, the papers say {_shown(value)}"
            for key, value in wanted.items()
            if found.get(key) != value
        ]
    identities = {found.get(IDENTITY) for found in headers.values()}
    if len(identities) > 1:
        problems.append("the files do not say that they are one model")
    if problems:
        raise failed(listed(problems), MANIFEST)
    keys = ", ".join(key.removeprefix("general.").removeprefix("fine_tune_pipeline.") for key in wanted)
    return f"{', '.join(headers)} say what the papers say: {keys}"


def described(path: Path) -> tuple[str, Mapping[str, Any]]:
    """Return in words which release a file says it is of, and its keys, fit for JSON. Raises ReleaseError."""
    found = {key: _plain(one) for key, one in read_metadata(path, follow=True).items()}
    words = f"{found.get(NAME, 'a model without a name')} {found.get(VERSION, '(no version)')}"
    words += f", licence {found.get(LICENCE, 'not told')}"
    digest = found.get(RECIPE_DIGEST)
    return (
        f"{words}, recipe {digest}" if digest else f"{words}; it names no recipe, so this pipeline did not make it",
        found,
    )


def _says(name: str) -> bool:
    """Tell whether a file has the keys: of parts only the first has."""
    return is_model(name) and ("-of-" not in name or _FIRST_PART in name)


def _wanted(release: Opened) -> dict[str, Any]:
    """Return key → what the papers say: the recipe in the provenance, its digest made anew, and what `train` made."""
    where, recipe = PROVENANCE, resolved_recipe(release)
    told = member(recipe, "release", dict, where)
    wanted = {
        NAME: told.get("title") or member(recipe, "name", str, where),
        VERSION: member(told, "version", str, where),
    }
    licence = told.get("licence") or member(recipe, "base/licence", str, where)
    if licence != "unknown":
        wanted[LICENCE] = _as_written(str(licence))
    wanted[RECIPE_DIGEST] = resolved_digest(release)
    for one in member(release.manifest, "stages/train/files", list, MANIFEST):
        if type(one) is dict and one.get("path") == _ADAPTER:
            wanted[ADAPTER_DIGEST] = member(one, "sha256", str, MANIFEST)
    return wanted


def _as_written(licence: str) -> str:
    """Return a licence as the file has it: one SPDX identifier in small letters, an expression as it is."""
    return licence if " " in licence or licence.startswith("LicenseRef-") else licence.lower()


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: numbers that are not finite as text."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _shown(value: Any) -> str:
    return "missing" if value is None else repr(str(value)[:70])
