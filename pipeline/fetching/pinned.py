"""Is a model of the hub named by its bytes? Asked before a run starts, and again before the download."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pipeline.errors import FetchError
from pipeline.fetching.model_files import allowed, check_names

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_REVISION = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_pinned(parameters: Mapping[str, Any]) -> None:
    """Raise FetchError unless revision and files of the parameters of a hub stage are pinned and may be fetched.

    The parameters may come from somebody else's release: repository and revision name folders, so their form is held.
    """
    name = parameters.get("repo")
    if not isinstance(name, str) or not _REPOSITORY.fullmatch(name):
        message = f"{str(name)[:80]!r} is no repository of the hub"
        raise FetchError(message, where="repo", advice="name it as owner/name")
    lacking = [key for key in ("revision", "files") if not parameters.get(key)]
    if lacking:
        message = f"the recipe does not pin the {' and '.join(lacking)} of {name}"
        advice = "run `python -m pipeline pin --recipe FILE`, look at what it wrote, then run again"
        raise FetchError(message, where=name, advice=advice)
    files = parameters["files"]
    _check_form(name, parameters["revision"], files)
    if unknown := sorted(set(files) - set(allowed(files))):
        message = f"the recipe lists files that are never fetched: {', '.join(unknown)}"
        raise FetchError(
            message, where=name, advice="list configuration, tokenizer and safetensors only (`python -m pipeline pin`)"
        )
    check_names(files, name)


def _check_form(name: str, revision: Any, files: Any) -> None:
    advice = "run `python -m pipeline pin --recipe FILE` on a recipe; of a release, do not trust it"
    if not isinstance(revision, str) or not _REVISION.fullmatch(revision):
        message = f"{str(revision)[:80]!r} is no full revision (40 hexadecimal digits)"
        raise FetchError(message, where=name, advice=advice)
    digests = files.values() if isinstance(files, Mapping) else [None]
    if not all(isinstance(one, str) and _SHA256.fullmatch(one) for one in digests):
        message = "its files are not pinned by their sha256"
        raise FetchError(message, where=name, advice=advice)
