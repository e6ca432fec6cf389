"""`lockfiles/images.lock`: which image each environment is, by digest. Stages use nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.environments import REPOSITORY
from pipeline.errors import ImageError
from pipeline.files import write_json_atomic

DEFAULT = REPOSITORY / "lockfiles" / "images.lock"
"""The lock of this repository."""

PREFIX = "fine-tune-pipeline"
"""What the names of our labels begin with."""

CAPABILITIES = f"{PREFIX}.capabilities"
"""The label that says what an image can do with a GPU, words with spaces between them."""

LLAMA_CPP = f"{PREFIX}.llama_cpp"
"""The label that names the commit of llama.cpp in an image."""

PYTHON = f"{PREFIX}.python"
"""The label that names another interpreter than the images' own."""

_FORMAT = 1
_ADVICE = "run `nox -s images` (where no registry is reachable: `nox -s images -- --local-base`)"


@dataclass(frozen=True)
class LockedImage:
    """One image that the lock names. `id` is `sha256:` and its configuration's digest; `labels` are the image's.

    `manifest` is the digest of its manifest, by which an engine with containerd's image store calls it.
    """

    name: str
    id: str
    labels: Mapping[str, str] = field(hash=False)
    manifest: str = ""


def image_name(environment: str, variant: str = "cpu") -> str:
    """Return the name that an image has in the lock, e.g. `training-cpu`."""
    return f"{environment}-{variant}"


def locked_image(environment: str, path: Path = DEFAULT, *, variant: str = "cpu") -> LockedImage:
    """Return the image of an environment (`training`, `inference`). Raises ImageError when the lock has none."""
    name = image_name(environment, variant)
    entries = read_lock(path)
    if name not in entries:
        message = f"there is no image {name!r} in the lock" + (f", only {', '.join(entries)}" if entries else "")
        raise ImageError(message, where=str(path), advice=_ADVICE)
    entry = entries[name]
    return LockedImage(name, entry["id"], dict(entry["labels"]), entry.get("manifest", ""))


def read_lock(path: Path = DEFAULT) -> dict[str, dict[str, Any]]:
    """Return the entries, by image name; none when the file is not there. Raises ImageError for another format."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ImageError(f"the lock of the images is no JSON: {error}", where=str(path), advice=_ADVICE) from error
    if not isinstance(raw, dict) or raw.get("format") != _FORMAT:
        raise ImageError("the lock of the images has another format", where=str(path), advice=_ADVICE)
    return dict(raw["images"])


def write_entry(name: str, entry: Mapping[str, Any], path: Path = DEFAULT) -> None:
    """Replace one image's entry; the others stay. The file is JSON with sorted keys, replaced at once."""
    write_json_atomic(path, {"format": _FORMAT, "images": {**read_lock(path), name: dict(entry)}})
