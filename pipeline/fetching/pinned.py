"""Is a model of the hub named by its bytes? Asked before a run starts, and again before the download."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.errors import FetchError
from pipeline.fetching.model_files import allowed, check_names


def check_pinned(parameters: Mapping[str, Any]) -> None:
    """Raise FetchError unless revision and files of the parameters of a hub stage are pinned and may be fetched."""
    name, files = parameters["repo"], parameters["files"]
    lacking = [key for key in ("revision", "files") if not parameters[key]]
    if lacking:
        message = f"the recipe does not pin the {' and '.join(lacking)} of {name}"
        advice = "run `python -m pipeline pin --recipe FILE`, look at what it wrote, then run again"
        raise FetchError(message, where=name, advice=advice)
    if unknown := sorted(set(files) - set(allowed(files))):
        message = f"the recipe lists files that are never fetched: {', '.join(unknown)}"
        raise FetchError(
            message, where=name, advice="list configuration, tokenizer and safetensors only (`python -m pipeline pin`)"
        )
    check_names(files, name)
