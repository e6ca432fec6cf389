"""Reading a release folder: what it names, and that every byte is what it says."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ReleaseError, printable
from pipeline.publishing.items import Emit, Item, Progress, digest_stream
from pipeline.releasing import layout

_LINE = re.compile(r"([0-9a-f]{64}) [ *]([A-Za-z0-9][A-Za-z0-9._-]*)")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,63}")
_DEFAULT_VERSION = "0.1.0"
"""Version of a recipe that names none: that of `pipeline.recipe_release.Release`."""
_SMALL = 16 * 1024 * 1024
"""More bytes than a list of checksums or a recipe ever has."""
_AGAIN = "make the folder anew: python -m pipeline release"


@dataclass(frozen=True)
class Release:
    """A verified release folder: its `items` sorted by name, the pointers (SHA256SUMS, model.sig) last."""

    name: str
    version: str
    title: str
    licence: str | None
    folder: Path
    items: tuple[Item, ...]

    @property
    def checksums(self) -> Item:
        """The list that names every file but itself and the signature: its digest names the release."""
        return self[layout.CHECKSUMS]

    def __getitem__(self, name: str) -> Item:
        return next(item for item in self.items if item.name == name)

    def find(self, name: str) -> Item | None:
        """Return a file by its name, None where the release has none such."""
        return next((item for item in self.items if item.name == name), None)


def read_release(folder: Path, emit: Emit) -> Release:
    """Read a release folder and hash every file in it.

    Raises ReleaseError for a file that is missing, additional, not a regular file or not what SHA256SUMS says, and
    for a folder that nobody signed.
    """
    sums = read_checksums(_small(folder / layout.CHECKSUMS), str(folder / layout.CHECKSUMS))
    names = {path.name for path in folder.iterdir()}
    _compare_names(folder, set(sums) | layout.UNLISTED, names)
    items = [_item(folder / name, emit) for name in sorted(sums)]
    wrong = [item.name for item in items if item.sha256 != sums[item.name]]
    if wrong:
        message = f"the release is damaged: not what {layout.CHECKSUMS} says: {', '.join(wrong)}"
        raise ReleaseError(message, where=str(folder), advice=_AGAIN)
    pointers = [_item(folder / name, emit) for name in (layout.CHECKSUMS, layout.SIGNATURE)]
    name, version, title, licence = read_identity(_small(folder / layout.RECIPE), str(folder / layout.RECIPE))
    return Release(name, version, title, licence, folder, (*items, *pointers))


def read_checksums(content: bytes, where: str) -> dict[str, str]:
    """Return name → sha256 (hex) of a SHA256SUMS. Raises ReleaseError for a line of another form."""
    found: dict[str, str] = {}
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        match = _LINE.fullmatch(line)
        if match is None or match[2] in found or match[2] in layout.UNLISTED:
            message = f"line {number} is no checksum of a file in this folder: {line[:120]!r}"
            raise ReleaseError(message, where=where, advice=_AGAIN)
        found[match[2]] = match[1]
    if not found:
        raise ReleaseError("the list of checksums is empty", where=where, advice=_AGAIN)
    return found


def _compare_names(folder: Path, named: set[str], found: set[str]) -> None:
    """Refuse a folder that holds more or less than its papers name."""
    if missing := sorted(named - found):
        message = f"not in the release folder: {', '.join(missing)}"
        advice = "sign it: python -m pipeline release" if missing == [layout.SIGNATURE] else _AGAIN
        raise ReleaseError(message, where=str(folder), advice=advice)
    if more := sorted(found - named):
        message = f"in the release folder, and not named by {layout.CHECKSUMS}: {printable(', '.join(more))}"
        raise ReleaseError(message, where=str(folder), advice="move it away, or " + _AGAIN)


def _item(path: Path, emit: Emit) -> Item:
    if path.is_symlink() or not path.is_file():
        raise ReleaseError(f"{path.name} is not a regular file", where=str(path), advice=_AGAIN)
    item = Item(path.name, path.stat().st_size, "", path)
    progress = Progress(emit, "check", item)
    with path.open("rb") as stream:
        size, sha256 = digest_stream(stream, progress)
    return Item(path.name, size, sha256, path)


def _small(path: Path) -> bytes:
    """Return the bytes of a small file. Raises ReleaseError where there is none."""
    if not path.is_file() or path.stat().st_size > _SMALL:
        message = f"this is no release folder: it has no {path.name}"
        raise ReleaseError(
            message, where=str(path.parent), advice="name a folder that `python -m pipeline release` made"
        )
    return path.read_bytes()


def read_identity(recipe: bytes, where: str) -> tuple[str, str, str, str | None]:
    """Return name, version, title and licence of a release, from its recipe. Raises ReleaseError."""
    try:
        found = tomllib.loads(recipe.decode())
        told = found.get("release", {})
        name, version = found["name"], told.get("version", _DEFAULT_VERSION)
        title, licence = str(told.get("title", name)), told.get("licence")
        matched = _NAME.fullmatch(name) and _VERSION.fullmatch(version)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        message = f"the recipe of the release cannot be read ({type(error).__name__})"
        raise ReleaseError(message, where=where, advice=_AGAIN) from error
    if matched is None:
        message = f"the recipe names no release that a target could be called after: {f'{name} {version}'[:200]!r}"
        advice = "a name has a-z, 0-9, . _ -; a version 0-9, A-Z, a-z, . + -"
        raise ReleaseError(message, where=where, advice=advice)
    return name, version, title, None if licence is None else str(licence)
