"""A release folder as `reproduce` reads it: every digest checked before anything in it is believed."""

from __future__ import annotations

import base64
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.artifact import Manifest
from pipeline.digest import digest_file
from pipeline.errors import ReleaseError
from pipeline.releasing.layout import CHAIN, CHECKSUMS, MANIFEST, PROVENANCE, RECIPE, REPORTS, UNLISTED, is_model
from pipeline.releasing.statement_types import SLSA_PROVENANCE
from pipeline.releasing.whole_models import differing_models, models_made
from pipeline.reproducing.components import check_depth, check_manifest
from pipeline.verifying.folder import names_in

_LINE = re.compile(r"([0-9a-f]{64})  ([^/\0]+)")
_MAX_BYTES = 1 << 28
"""Largest paper that is read: the chain of a large recipe has some megabytes."""
_RECIPE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
"""As the recipe's model has it: it names a folder of the build."""
_PUBLISHED = {CHAIN: "release", **dict.fromkeys(REPORTS, "report")}
"""Papers that a stage published as they lie in the folder → that stage."""


@dataclass(frozen=True)
class Release:
    """One release folder whose files are what its checksums say. `sums` maps each file to its sha256 (hex)."""

    folder: Path
    sums: Mapping[str, str]

    @cached_property
    def manifests(self) -> dict[str, Manifest]:
        """Stage → its manifest. Raises ReleaseError."""
        raw = _read_json(self.folder / MANIFEST)
        try:
            found = {name: Manifest.from_json(one) for name, one in raw["stages"].items()}
            for name, manifest in found.items():
                check_manifest(name, manifest)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _wrong(MANIFEST, f"it is no chain of manifests: {error}", self.folder) from error
        return found

    @cached_property
    def statement(self) -> dict[str, Any]:
        """The in-toto statement that holds the SLSA provenance. Raises ReleaseError."""
        for statement in _statements(self.folder / PROVENANCE):
            if statement.get("predicateType") == SLSA_PROVENANCE:
                return statement
        raise _wrong(PROVENANCE, f"none of its statements has the type {SLSA_PROVENANCE}", self.folder)

    @property
    def recipe(self) -> Path:
        """The recipe file of the release."""
        return self.folder / RECIPE

    @cached_property
    def recipe_table(self) -> dict[str, Any]:
        """The recipe, parsed and no more: it may be one of another version. Raises ReleaseError."""
        try:
            return tomllib.loads(_read(self.recipe).removeprefix("\ufeff"))
        except (ValueError, RecursionError) as error:
            raise _wrong(RECIPE, f"it is no TOML: {error}", self.folder) from error

    @property
    def recipe_name(self) -> str:
        """The recipe's name. Raises ReleaseError for one that no recipe has."""
        found = self.recipe_table.get("name")
        if not isinstance(found, str) or not _RECIPE_NAME.fullmatch(found):
            raise _wrong(RECIPE, f"its name is no recipe's: {str(found)[:80]!r}", self.folder)
        return found

    @property
    def models(self) -> dict[str, str]:
        """The GGUF files: name → sha256."""
        return {name: sha256 for name, sha256 in self.sums.items() if is_model(name)}


def read_release(folder: Path) -> Release:
    """Check every digest of a release folder, then that its papers name the same models.

    Raises ReleaseError that names what is missing, changed, or told in two ways.
    """
    if not folder.is_dir():
        message = "there is no release folder of this name"
        raise ReleaseError(message, where=str(folder), advice="name the folder that holds SHA256SUMS")
    names, _ = names_in(folder)
    release = Release(folder, _checked_sums(folder, names))
    _check_papers(release)
    return release


def _checked_sums(folder: Path, names: Iterable[str]) -> dict[str, str]:
    sums = dict(_sums(folder))
    missing = [name for name in (CHAIN, MANIFEST, RECIPE, PROVENANCE) if name not in sums]
    if missing:
        raise _wrong(CHECKSUMS, f"it does not name {', '.join(missing)}", folder)
    problems = [f"{name}: {problem}" for name in sorted(sums) if (problem := _problem(folder / name, sums[name]))]
    problems += [f"{name}: {CHECKSUMS} does not name it" for name in sorted({*names} - {*sums} - UNLISTED)]
    if problems:
        message = f"the release is not what its {CHECKSUMS} says:\n    " + "\n    ".join(problems)
        advice = "fetch it again. How a model differs from one built here: `python -m pipeline diff FILE FILE`"
        raise ReleaseError(message, where=str(folder), advice=advice)
    return sums


def _sums(folder: Path) -> Iterator[tuple[str, str]]:
    text = _read(folder / CHECKSUMS)
    for number, line in enumerate(text.splitlines(), 1):
        found = _LINE.fullmatch(line)
        if found is None or found[2] in {".", ".."}:
            raise _wrong(CHECKSUMS, f"line {number} is not `<sha256>  <file name>`", folder)
        yield found[2], found[1]


def _problem(path: Path, sha256: str) -> str:
    """Say what is wrong with a file, or return an empty text."""
    try:
        if path.is_symlink() or not path.is_file():
            return "is no regular file" if path.exists() or path.is_symlink() else "is missing"
        found = digest_file(path)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return "" if found == sha256 else f"its sha256 is {found[:16]}…, {CHECKSUMS} says {sha256[:16]}…"


def _check_papers(release: Release) -> None:
    """Hold the papers against each other: chain, manifests, provenance and checksums must name the same bytes."""
    built = {name: {entry.path: entry.sha256 for entry in one.files} for name, one in release.manifests.items()}
    try:
        chain = {name: dict(stage["files"]) for name, stage in _read_json(release.folder / CHAIN)["stages"].items()}
        subjects = {one["name"]: one["digest"]["sha256"] for one in release.statement["subject"]}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _wrong(CHAIN, f"it or the provenance lacks what it should have: {error}", release.folder) from error
    for name, files in chain.items():
        if files != built.get(name):
            raise _wrong(MANIFEST, f"it names other files of stage {name!r} than {CHAIN} does", release.folder)
    for name in sorted({*built} - {*chain} - {_PUBLISHED[CHAIN]}):
        raise _wrong(MANIFEST, f"it names stage {name!r}, which {CHAIN} lacks", release.folder)
    if subjects != release.models:
        raise _wrong(PROVENANCE, f"it is about other models than {CHECKSUMS} names", release.folder)
    _check_published(release, built)
    if problem := next(differing_models(release.folder, release.models, models_made(chain)), None):
        raise _wrong(CHAIN, problem, release.folder)


def _check_published(release: Release, built: Mapping[str, Mapping[str, str]]) -> None:
    """Hold chain and report in the folder against what their stages made."""
    for name, stage in _PUBLISHED.items():
        found, made = release.sums.get(name, ""), built.get(stage, {}).get(name, "")
        if found and found != made:
            told = f"{name} in the folder is {_short(found)}, stage {stage!r} made {_short(made)}"
            raise _wrong(MANIFEST, told, release.folder)


def _short(sha256: str) -> str:
    return f"{sha256[:16]}…" if sha256 else "missing"


def _statements(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the payload of each DSSE envelope. Who signed them is what `verify` checks."""
    for line in _read(path).splitlines():
        try:
            payload = json.loads(base64.b64decode(json.loads(line)["payload"], validate=True))
            check_depth(payload)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise _wrong(PROVENANCE, f"it holds a line that is no DSSE envelope: {error}", path.parent) from error
        if isinstance(payload, dict):
            yield payload


def _read_json(path: Path) -> Any:
    try:
        found = json.loads(_read(path))
        check_depth(found)
    except (ValueError, RecursionError) as error:
        raise _wrong(path.name, f"it is no JSON that can be used: {error}", path.parent) from error
    return found


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise _wrong(path.name, f"it has more than {_MAX_BYTES:,} bytes", path.parent)
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise _wrong(path.name, f"it cannot be read ({told})", path.parent) from error


def _wrong(file: str, problem: str, folder: Path) -> ReleaseError:
    message = f"{file} cannot be used: {problem}"
    return ReleaseError(
        message, where=str(folder), advice="fetch the release again, and `python -m pipeline verify` it"
    )
