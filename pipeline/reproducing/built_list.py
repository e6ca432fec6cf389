"""The list of what one builder got: an in-toto statement over every file of every stage, signed by the builder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.artifact import Manifest
from pipeline.errors import ReleaseError
from pipeline.releasing.statement_types import STATEMENT
from pipeline.signing.envelope import is_signed_by, open_envelope

PREDICATE: Final = "urn:fine-tune-pipeline:built-files:v1"
"""Documented in docs/reproducibility.md."""
_MAX_BYTES: Final = 1 << 26
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[\w-]+/[^\0]+")


@dataclass(frozen=True)
class BuiltList:
    """One builder's list: stage → file → sha256 (hex). `signer` is the fingerprint of the key that signed, if known."""

    name: str
    recipe: str
    files: Mapping[str, Mapping[str, str]]
    builder: Mapping[str, str]
    commit: str
    signer: str = ""


def statement(
    manifests: Mapping[str, Manifest], recipe: str, commit: str, builder: Mapping[str, str]
) -> dict[str, Any]:
    """Return the statement about a build. It holds no time and nothing that names the machine."""
    subject = [
        {"name": f"{stage}/{entry.path}", "digest": {"sha256": entry.sha256}}
        for stage, manifest in manifests.items()
        for entry in manifest.files
    ]
    predicate = {
        "recipe": recipe,
        "project": {"gitCommit": commit},
        "builder": dict(builder),
        "keys": {stage: manifest.key for stage, manifest in manifests.items()},
    }
    return {"_type": STATEMENT, "subject": subject, "predicateType": PREDICATE, "predicate": predicate}


def read_list(path: Path, trusted: Mapping[str, Any]) -> BuiltList:
    """Read a list and look who signed it: `trusted` maps fingerprints to public keys.

    A list that none of them signed has no signer. Raises ReleaseError for a file that is no such list, and for one that
    is altered though a trusted key is said to have signed it.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise _wrong(path, f"it has more than {_MAX_BYTES:,} bytes")
        envelope = json.loads(path.read_bytes())
    except OSError as error:
        raise _wrong(path, f"it cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise _wrong(path, f"it is no JSON: {error}") from error
    payload, signature = open_envelope(envelope, str(path))
    signer = next((name for name, key in trusted.items() if is_signed_by(payload, signature, key)), "")
    claimed = str(envelope["signatures"][0].get("keyid", ""))
    if claimed in trusted and not signer:
        raise _wrong(path, "it was altered: it names a key that is trusted, whose signature does not fit")
    return _list(path, payload, signer)


def _list(path: Path, payload: bytes, signer: str) -> BuiltList:
    try:
        told = json.loads(payload)
        if told["predicateType"] != PREDICATE:
            raise _wrong(path, f"it is about {str(told['predicateType'])[:80]!r}")
        predicate = told["predicate"]
        found: dict[str, dict[str, str]] = {}
        for one in told["subject"]:
            name, sha256 = one["name"], one["digest"]["sha256"]
            if not _NAME.fullmatch(name) or not _SHA256.fullmatch(sha256):
                raise _wrong(path, f"{name!r} is no file of a stage with a sha256")
            stage, _, file = name.partition("/")
            found.setdefault(stage, {})[file] = sha256
        builder = {str(name): str(value) for name, value in predicate["builder"].items()}
        commit = str(predicate["project"]["gitCommit"])
        return BuiltList(path.name, str(predicate["recipe"]), found, builder, commit, signer)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _wrong(path, f"it lacks what a list of built files has: {error}") from error


def _wrong(path: Path, problem: str) -> ReleaseError:
    message = f"this cannot be used as a builder's list: {problem}"
    return ReleaseError(message, where=str(path), advice="write one with `python -m pipeline attest --to FILE`")
