"""The models of a release folder against those that a build made: a model in parts counts joined."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pipeline.releasing.layout import is_model
from pipeline.releasing.splitting import merged_bytes

_PART = re.compile(r"-(?P<part>\d{5})-of-(?P<parts>\d{5})(?=\.gguf$)")


def models_made(files: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return name → sha256 of the models among the files of all stages (stage → path → sha256)."""
    return {path: sha256 for one in files.values() for path, sha256 in one.items() if is_model(path)}


def differing_models(
    folder: Path, there: Mapping[str, str], made: Mapping[str, str], absent: frozenset[str] = frozenset()
) -> Iterator[str]:
    """Give what is wrong with the models of a folder; `there` and `made` are name → sha256.

    Every model that was made has to be there, whole or in all of its parts, which are read and put together. Of those
    that are knowingly `absent` nothing is asked, nor of the parts of a file of which one is absent. Raises ReleaseError
    for parts that do not belong together, and StoreError for one that cannot be read.
    """
    found, missing = _by_whole(there), _by_whole(absent)
    for name in sorted(made):
        files = found.get(name, [])
        if len(files) > 1 and name in files:
            yield f"{name} is there whole and in parts"
        elif name in missing and name not in files:
            continue
        elif (sha256 := _digest(folder, name, files, there)) != made[name]:
            yield f"{name} in the folder is {_short(sha256)}, the chain ends in {_short(made[name])}"
    if extra := sorted(set(found) - set(made)):
        yield f"no stage made {', '.join(extra)}"


def _by_whole(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the name of each whole model, and the files that it is, in order."""
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        if is_model(name):
            found.setdefault(_PART.sub("", name), []).append(name)
    return found


def _digest(folder: Path, name: str, files: list[str], there: Mapping[str, str]) -> str:
    """Return the sha256 of a model; empty where nothing of it is there."""
    if files == [name]:
        return there[name]
    if not files:
        return ""
    joined = hashlib.sha256()
    for piece in merged_bytes([folder / one for one in files]):
        joined.update(piece)
    return joined.hexdigest()


def _short(sha256: str) -> str:
    return f"{sha256[:16]}…" if sha256 else "missing"
