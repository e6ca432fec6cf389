"""Where a release goes, as the command line names it. Addresses with a secret in them are refused and not repeated."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.errors import UsageError

SCHEMES = ("file", "s3", "hf", "oci")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"(?:[A-Za-z0-9!_.'()-]+/)*[A-Za-z0-9!_.'()-]+")
_HUB = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(?:@(?P<branch>[A-Za-z0-9][\w./-]{0,95}))?"
)
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?P<registry>[A-Za-z0-9.-]+(?::\d{{1,5}})?|\[[0-9a-f:]+\](?::\d{{1,5}})?)/(?P<repository>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,99}))?"
)
"""A repository as the distribution specification of the OCI spells it; a tag leaves room for what is added to it."""


@dataclass(frozen=True)
class FolderTarget:
    """A folder of this machine; releases lie in `<name>/<version>/` below it."""

    path: Path


@dataclass(frozen=True)
class BucketTarget:
    """A bucket of an object store; releases lie in `<prefix>/<name>/<version>/`."""

    bucket: str
    prefix: str


@dataclass(frozen=True)
class HubTarget:
    """A branch of a model repository on the hub."""

    repo: str
    branch: str


@dataclass(frozen=True)
class RegistryTarget:
    """A repository of a container registry. Without a tag the release's version is the tag."""

    registry: str
    repository: str
    tag: str | None


Target = FolderTarget | BucketTarget | HubTarget | RegistryTarget


def parse_target(text: str) -> Target:
    """Read a target. Raises UsageError for what is none, and for one that holds a password, which is not repeated."""
    scheme, colon, rest = text.partition("://")
    if not colon:
        _refuse_few_slashes(text)
        return FolderTarget(_path(text))
    if scheme not in SCHEMES:
        near = difflib.get_close_matches(scheme.lower(), SCHEMES, n=1)
        hint = "known are a path, file://, s3://, hf:// and oci://"
        message = "no target of this kind is known" + (f": did you mean {near[0]}://?" if near else "")
        raise UsageError(message, where="TARGET", advice=hint)
    _refuse_secrets(scheme, rest)
    match scheme:
        case "file":
            return _file(text)
        case "s3":
            return _bucket(rest)
        case "hf":
            return _hub(rest)
        case _:
            return _registry(rest)


def _refuse_few_slashes(text: str) -> None:
    """Refuse `s3:/bucket`, which would be a folder of this machine called `s3:`."""
    scheme = text.partition(":")[0]
    if ":" not in text or scheme.lower() not in SCHEMES:
        return
    form = "file:///" if scheme.lower() == "file" else f"{scheme.lower()}://"
    message = f"this target has too few slashes: did you mean {form}?"
    raise UsageError(message, where="TARGET", advice=f"write {form}...; a folder that is called so is ./{scheme}:...")


def _refuse_secrets(scheme: str, rest: str) -> None:
    """Refuse what may be a password or a signature. A branch of the hub is the one thing behind an `@`."""
    head = rest.partition("/")[0]
    if "?" in rest or "#" in rest or ("@" in head and scheme != "file") or (scheme != "hf" and "@" in rest):
        message = "the target holds a user, a password, a query or a fragment; it is not repeated here"
        advice = (
            "credentials stand in the environment or in the client's own store (docs/publishing.md): change that one"
        )
        raise UsageError(message, where="TARGET", advice=advice)


def _path(text: str) -> Path:
    if not text.strip() or "\0" in text:
        raise UsageError("the name of the target folder is empty", where="TARGET", advice="name a folder")
    return Path(text)


def _file(text: str) -> FolderTarget:
    parts = urlsplit(text)
    if parts.netloc not in ("", "localhost"):
        message = "a file:// address names a folder of this machine"
        raise UsageError(message, where="TARGET", advice="write three slashes: file:///folder")
    return FolderTarget(_path(unquote(parts.path)))


def _bucket(rest: str) -> BucketTarget:
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.strip("/")
    parts = set(prefix.split("/"))
    if _BUCKET.fullmatch(bucket) is None or (prefix and _PREFIX.fullmatch(prefix) is None) or parts & {".", ".."}:
        message = f"{'s3://' + rest!r} is no bucket with a prefix"
        advice = "s3://bucket/prefix; a bucket has 3 to 63 of a-z 0-9 . -, a prefix A-Z a-z 0-9 and ! _ . ' ( ) -"
        raise UsageError(message, where="TARGET", advice=advice)
    return BucketTarget(bucket, prefix)


def _hub(rest: str) -> HubTarget:
    match = _HUB.fullmatch(rest.rstrip("/"))
    if match is None or ".." in rest or "--" in rest:
        message = f"{'hf://' + rest!r} is no repository of the hub"
        raise UsageError(message, where="TARGET", advice="hf://owner/name, or hf://owner/name@branch")
    return HubTarget(match["repo"], match["branch"] or "main")


def _registry(rest: str) -> RegistryTarget:
    match = _IMAGE.fullmatch(rest)
    if match is None:
        message = f"{'oci://' + rest!r} is no repository of a registry"
        advice = "oci://registry/repository:tag; a repository is in lower case, a tag has at most 100 characters"
        raise UsageError(message, where="TARGET", advice=advice)
    return RegistryTarget(match["registry"], match["repository"], match["tag"])
