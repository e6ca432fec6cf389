"""What the provenance of a release names by digest: this project, its locks, llama.cpp, files of the user's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import ReleaseError
from pipeline.reproducing.release import Release

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_LOCK = re.compile(r"lockfiles/[\w.-]+")
PROJECT = "fine-tune-pipeline"
"""Name of the dependency that is this project's own source."""


@dataclass(frozen=True)
class Outside:
    """A file of the user's that a stage read: the stage, the name in its key, sha256 (hex), size in bytes if known."""

    stage: str
    name: str
    sha256: str
    size: int | None


@dataclass(frozen=True)
class Materials:
    """Everything by digest. `locks` maps paths in the project to sha256, `digests` are all that the provenance has."""

    commit: str
    locks: Mapping[str, str]
    archive_sha256: str
    wheel_sha256: str
    outside: tuple[Outside, ...]
    digests: frozenset[str]


def read_materials(release: Release) -> Materials:
    """Return what a release was made of.

    The user's files are named by the manifests (each stage's key counts them); each must be in the provenance too, or
    the release is refused. Raises ReleaseError.
    """
    try:
        found = release.statement["predicate"]["buildDefinition"]["resolvedDependencies"]
        dependencies = [(str(one.get("name", "")), {**one["digest"]}) for one in found]
    except (KeyError, TypeError, AttributeError) as error:
        raise _lacking(release, f"resolvedDependencies, each with its digest ({error})") from error
    digests = frozenset(str(digest) for _, several in dependencies for digest in several.values())
    outside = tuple(_outside(release))
    if unnamed := [f"{one.stage}/{one.name}" for one in outside if one.sha256 not in digests]:
        raise _lacking(release, f"the digest of {', '.join(unnamed)}")
    return Materials(
        commit=_commit(release, dependencies),
        locks={name: str(one["sha256"]) for name, one in dependencies if _LOCK.fullmatch(name) and "sha256" in one},
        archive_sha256=_archive(release, digests),
        wheel_sha256=_wheel(release),
        outside=outside,
        digests=digests,
    )


def _commit(release: Release, dependencies: list[tuple[str, dict[str, Any]]]) -> str:
    for name, digest in dependencies:
        commit = str(digest.get("gitCommit", ""))
        if name == PROJECT and _COMMIT.fullmatch(commit):
            return commit
    raise _lacking(release, f"the commit of {PROJECT} (a dependency of that name with a digest gitCommit)")


def _archive(release: Release, digests: frozenset[str]) -> str:
    """Return the sha256 of the llama.cpp archive, which the manifests name; the provenance has to name it too."""
    named = {str(one.tools.get("llama_cpp_archive_sha256", "")) for one in release.manifests.values()} - {""}
    if len(named) != 1 or not named <= digests:
        raise _lacking(release, "the sha256 of the one llama.cpp archive that the manifests name")
    return named.pop()


def _wheel(release: Release) -> str:
    """Return the sha256 of the built llama.cpp wheel, as the keys name it; empty where an image held it."""
    for manifest in release.manifests.values():
        told = str(manifest.components.get("environment", {}).get("llama-cpp-wheel", ""))
        if told.startswith("sha256:"):
            return told.removeprefix("sha256:")
    return ""


def _outside(release: Release) -> Iterator[Outside]:
    for stage, manifest in release.manifests.items():
        sizes = {entry.sha256: entry.size for entry in manifest.files}
        for name, sha256 in sorted(dict(manifest.components.get("outside", {})).items()):
            yield Outside(stage, name, str(sha256), sizes.get(str(sha256)))


def _lacking(release: Release, what: str) -> ReleaseError:
    message = f"the provenance does not name {what}"
    return ReleaseError(message, where=str(release.folder), advice="it cannot be reproduced; ask who released it")
