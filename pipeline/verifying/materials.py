"""The bill of materials: valid under its schema, and of these very files."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from pipeline.releasing.layout import BILL_OF_MATERIALS, PROVENANCE
from pipeline.releasing.statement_types import PROJECT
from pipeline.verifying.finding import listed
from pipeline.verifying.folder import Opened
from pipeline.verifying.papers import failed, member
from pipeline.verifying.provenance import by_name

_LONGEST = 5000
"""Most items of any list. A schema engine compares each with each where they have to differ."""
_DEEPEST = 8
"""Levels of components inside components that are looked through."""


def check_materials(release: Opened) -> str:
    """Validate the bill, and hold the models' digests in it against the files. Raises ReleaseError."""
    bill = release.materials
    version = member(bill, "specVersion", str, BILL_OF_MATERIALS)
    _check_lists(bill)
    _check_schema(release.text(BILL_OF_MATERIALS), version)
    components = list(_components(bill, 0))
    told = [(str(one.get("name")), sha256) for one in components for sha256 in _digests(one)]
    names = {name for name, _ in told}
    there = {name: release.entries[name].sha256 for name in release.models}
    problems = [f"it does not name {name} with a digest" for name in sorted(there) if name not in names]
    problems += [f"it names another {name}" for name, sha256 in told if there.get(name, sha256) != sha256]
    problems += _project(components, release)
    if problems:
        raise failed(f"{BILL_OF_MATERIALS} is not of these files: {listed(problems)}", BILL_OF_MATERIALS)
    return f"{BILL_OF_MATERIALS} is CycloneDX {version} and names {len(components)} components, the models by digest"


def _project(components: list[dict[str, Any]], release: Opened) -> list[str]:
    """Hold the commit of this project in the bill against that of the provenance."""
    built = by_name(release.statements.provenance, "buildDefinition/resolvedDependencies").get(PROJECT)
    commit = member(built, "digest/gitCommit", str, PROVENANCE)
    told = [one.get("version") for one in components if one.get("bom-ref") == PROJECT]
    return [] if told == [commit] else ["it names another commit of the pipeline than the provenance"]


def _check_schema(content: bytes, version: str) -> None:
    """Validate under the schema that the library ships. Raises ReleaseError."""
    try:
        error = _validator(version).validate_str(content.decode())
    except (RecursionError, ValueError, NotImplementedError) as cause:
        message = f"{BILL_OF_MATERIALS} cannot be validated: {str(cause)[:160] or type(cause).__name__}"
        raise failed(message, BILL_OF_MATERIALS) from cause
    if error is not None:
        raise failed(f"{BILL_OF_MATERIALS} is no valid CycloneDX {version}: {str(error)[:200]}", BILL_OF_MATERIALS)


def _check_lists(bill: Any) -> None:
    """Refuse lists whose validation would not end. Raises ReleaseError."""
    left = [bill]
    while left:
        value = left.pop()
        if type(value) is list and len(value) > _LONGEST:
            raise failed(f"{BILL_OF_MATERIALS} has a list of {len(value):,} items", BILL_OF_MATERIALS)
        if type(value) in {list, dict}:
            left += value if type(value) is list else value.values()


@cache
def _validator(version: str) -> Any:
    """Return the library's validator. Raises ReleaseError for a version that it does not know."""
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415 - loads a JSON schema engine
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    known = {one.to_version(): one for one in SchemaVersion}
    if version not in known:
        raise failed(f"{BILL_OF_MATERIALS} is CycloneDX {version[:20]!r}, which is not known", BILL_OF_MATERIALS)
    return JsonStrictValidator(known[version])


def _components(value: Any, level: int) -> Iterator[dict[str, Any]]:
    """Give the components, that of the metadata first, and those inside each."""
    if type(value) is not dict or level > _DEEPEST:
        return
    metadata = value.get("metadata")
    inner = [metadata.get("component")] if type(metadata) is dict else []
    listing = value.get("components")
    inner += listing if type(listing) is list else []
    for one in inner:
        if type(one) is dict:
            yield one
            yield from _components(one, level + 1)


def _digests(component: dict[str, Any]) -> list[str]:
    hashes = component.get("hashes")
    found = [one for one in hashes if type(one) is dict] if type(hashes) is list else []
    return [str(one.get("content")) for one in found if one.get("alg") == "SHA-256"]
