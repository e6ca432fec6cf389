"""What a GGUF file says about the model that it holds: docs/gguf-metadata.md lists the keys.

Everything comes from the recipe and from digests of the model's inputs: no folder, user, address or date.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

from .job import JobError, read_json
from .weights import ADAPTER_WEIGHTS, BASE_DIGEST

PREFIX = "fine_tune_pipeline."
"""Begins the keys that GGUF has no name for."""

_LISTS = {"general.base_models": "general.base_model", "general.datasets": "general.dataset"}
"""Lists of the converter's metadata file → the numbered keys that it makes of them."""
_GUESSED = ("general.author", "general.basename", "general.description", "general.organization")
"""Keys that the converter would guess from names of folders: unset unless the recipe says them."""


@dataclass(frozen=True)
class Origins:
    """Digests of what the model was made of (sha256 in hex), and the names of its data files."""

    data: str
    base: str
    adapter: str
    data_files: tuple[str, ...]


def origins(adapter: Path, data: Path) -> Origins:
    """Read them: `adapter` is the folder with the adapter's weights, `data` has the `source.json` of the rows.

    The data set's digest is that of the lines that `sha256sum` prints about its files, sorted by name. The base's is
    what the adapter says it was trained on; `merge` has checked it against the weights.
    """
    files = sorted((entry["name"], entry["sha256"]) for entry in read_json(data / "source.json")["files"])
    lines = "".join(f"{sha256}  {name}\n" for name, sha256 in files)
    weights = adapter / ADAPTER_WEIGHTS
    with safe_open(weights, framework="np") as stream:
        base = (stream.metadata() or {}).get(BASE_DIGEST)
    if base is None:
        raise JobError("the adapter does not say what base it was trained on", where=weights.name, advice="train again")
    with weights.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return Origins(hashlib.sha256(lines.encode()).hexdigest(), base, digest, tuple(name for name, _ in files))


def file_metadata(parameters: dict[str, Any], origin: Origins) -> dict[str, Any]:
    """Return the keys for the converter: those of its metadata file, `general.license`, and the pipeline's own.

    `general.uuid` names the model whatever type its weights are stored in: it is made of all that is said here.
    """
    release, base = parameters["release"], parameters["base"]
    named = {
        "general.name": release["title"],
        "general.version": release["version"],
        "general.finetune": parameters["name"],
        "general.author": release["author"],
        "general.license": licence(release["licence"]),
        "general.base_models": _entries([base], ("name", "organization", "version")),
        "general.datasets": _datasets(parameters["data"], origin),
        f"{PREFIX}recipe.sha256": parameters["recipe_sha256"],
        f"{PREFIX}data.sha256": origin.data,
        f"{PREFIX}base.sha256": origin.base,
        f"{PREFIX}adapter.sha256": origin.adapter,
    }
    said = {key: value for key, value in named.items() if value}
    return {**dict.fromkeys(_GUESSED), **said, "general.uuid": _identity(said)}


def licence(identifier: str) -> str | None:
    """Return a licence as the hub writes it: one SPDX identifier in small letters, an expression as it is."""
    if identifier == "unknown":
        return None
    return identifier if " " in identifier or identifier.startswith("LicenseRef-") else identifier.lower()


def _datasets(data: dict[str, Any], origin: Origins) -> list[dict[str, str]]:
    """Return the data sets: made-up ones by their name, a user's by the names of the files."""
    return [data] if data else [{"name": name} for name in origin.data_files]


def _entries(found: list[dict[str, Any]], keys: tuple[str, ...]) -> list[dict[str, str]]:
    """Return the entries of a list that say anything."""
    entries = ({key: one[key] for key in keys if one.get(key)} for one in found)
    return [entry for entry in entries if entry]


def _identity(said: dict[str, Any]) -> str:
    """Return the UUID (version 5) of what is said: the same words and digests, the same name."""
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return str(uuid.uuid5(uuid.NAMESPACE_OID, PREFIX + text))


def expected_keys(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the keys that the file holds when the converter has written `metadata`."""
    plain = {key: value for key, value in metadata.items() if value is not None and key not in _LISTS}
    for listed, numbered in _LISTS.items():
        entries = metadata.get(listed)
        if entries:
            plain[f"{numbered}.count"] = len(entries)
            plain |= {f"{numbered}.{at}.{key}": value for at, one in enumerate(entries) for key, value in one.items()}
    return plain


def named_keys(keys: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of a file that name the model, sorted."""
    return {key: keys[key] for key in sorted(keys) if key.startswith(("general.", PREFIX))}
