"""Components of the bill of materials that are software: packages, interpreters, images, llama.cpp."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from llama_cpp_vendor.pin import read_pin
from pipeline.artifact import Manifest
from pipeline.environments import LOCKS, REPOSITORY

Component = dict[str, Any]
"""A CycloneDX component as JSON."""

PREFIX = "fine-tune-pipeline:"
"""Begins the names of properties that CycloneDX has no name for."""

_PACKAGE = re.compile(r"(?P<version>\S+) sha256:(?P<sha256>[0-9a-f]{64})")
_FILE = re.compile(r"sha256:(?P<sha256>[0-9a-f]{64})")
_PINNED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def hashes(sha256: str) -> Component:
    """Return the member that holds a digest."""
    return {"hashes": [{"alg": "SHA-256", "content": sha256}]}


def properties(found: Mapping[str, str]) -> Component:
    """Return the member that holds what CycloneDX has no name for; nothing where there is nothing."""
    entries = [{"name": PREFIX + name, "value": value} for name, value in found.items()]
    return {"properties": entries} if entries else {}


def licences(licence: str) -> Component:
    """Return the member that holds a licence: an SPDX identifier, an expression, or a name of one's own."""
    from cyclonedx.spdx import fixup_id, is_expression  # noqa: PLC0415 - a release only

    if licence == "unknown":
        return {}
    if known := fixup_id(licence):
        return {"licenses": [{"license": {"id": known}}]}
    if not licence.startswith("LicenseRef-") and is_expression(licence):
        return {"licenses": [{"expression": licence}]}
    return {"licenses": [{"license": {"name": licence}}]}


def llama_cpp() -> Iterator[Component]:
    """Give the pinned archive and the llama.cpp in it."""
    pin = read_pin()
    yield {
        "type": "library",
        "bom-ref": "llama.cpp",
        "name": "llama.cpp",
        "version": pin.commit,
        "purl": f"pkg:github/ggml-org/llama.cpp@{pin.commit}",
        "components": [
            {
                "type": "file",
                "bom-ref": f"llama.cpp/{pin.file}",
                "name": pin.file,
                **hashes(pin.sha256),
                **properties({"tree-sha256": pin.tree_sha256}),
            }
        ],
    }


def packages(manifests: Mapping[str, Manifest]) -> list[Component]:
    """Return everything of the environments that stages really ran in, each once, sorted.

    `installed-sha256` is the digest of the files that a package installs, which counts in the stages' keys;
    `locked-sha256` lists the files that the locks allow for that version. Where they allow one alone, its digest is the
    component's.
    """
    found: dict[str, Component] = {}
    for manifest in manifests.values():
        environment: Mapping[str, str] = manifest.components.get("environment") or {}
        for name, told in environment.items():
            one = _component(name, told)
            if one is not None:
                found[f"{one['bom-ref']} {told}"] = one
    return [found[name] for name in sorted(found)]


def _component(name: str, told: str) -> Component | None:
    """Return a package, a file of the interpreter, or an image; None for a plain version."""
    if match := _PACKAGE.fullmatch(told):
        return _package(name, match["version"], match["sha256"])
    if match := _FILE.fullmatch(told):
        kind = "container" if name == "image" else "file"
        reference = f"{name}@{match['sha256']}"
        return {"type": kind, "bom-ref": reference, "name": name, **hashes(match["sha256"])}
    return None


def _package(name: str, version: str, installed: str) -> Component:
    from packageurl import PackageURL  # noqa: PLC0415 - a release only

    url = PackageURL("pypi", None, name, version).to_string()
    allowed = locked(REPOSITORY / "lockfiles").get(f"{name}=={version}", ())
    listed = {"locked-sha256": " ".join(allowed)} if len(allowed) > 1 else {}
    return {
        "type": "library",
        "bom-ref": f"{url}#{installed[:16]}",
        "name": name,
        "version": version,
        "purl": url,
        **(hashes(allowed[0]) if len(allowed) == 1 else {}),
        **properties({"installed-sha256": installed, **listed}),
    }


@cache
def locked(folder: Path) -> Mapping[str, tuple[str, ...]]:
    """Return `name==version` → sha256 of each file that the environments' locks allow for it."""
    found: dict[str, tuple[str, ...]] = {}
    for lock in LOCKS.values():
        entry = ""
        for line in (folder / f"{lock}.txt").read_text(encoding="utf-8").splitlines():
            if match := _PINNED.match(line):
                entry = f"{match['name'].lower().replace('_', '-')}=={match['version']}"
                found[entry] = ()
            for sha256 in _HASH.findall(line):
                found[entry] = (*found[entry], sha256)
    return found
