"""The user's files that a release was made from: looked for by digest, and laid where its recipe looks for them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.digest import digest_file
from pipeline.errors import FetchError, printable
from pipeline.reproducing.materials import Outside

Emit = Callable[..., None]


@dataclass(frozen=True)
class Wanted:
    """A file by digest, and the path under which the recipe names it. `size` is in bytes, None where not known."""

    path: str
    sha256: str
    size: int | None

    @property
    def told(self) -> str:
        """One line for whoever has to find it."""
        size = "" if self.size is None else f"  ({self.size:,} bytes)"
        return f"{self.sha256}  {self.path}{size}"


def wanted_files(recipe: Mapping[str, Any], outside: Sequence[Outside]) -> list[Wanted]:
    """Return the files that a recipe (the parsed TOML) names and a release was made from. Raises FetchError."""
    named = _named(recipe)
    found = []
    for one in outside:
        path = named.get(one.stage, {}).get(one.name) or named.get(one.stage, {}).get(_WHATEVER)
        folder = named.get(one.stage, {}).get(_FOLDER)
        if path is None and folder is None:
            message = f"the release was made from {one.name}, which its recipe does not name"
            raise FetchError(message, where=one.stage, advice="recipe.toml and manifest.json contradict each other")
        wanted = Wanted(path or str(PurePosixPath(str(folder), one.name)), one.sha256, one.size)
        if printable(wanted.path) != wanted.path:
            message = f"the recipe names a file that no file system should hold: {wanted.path!r}"
            raise FetchError(message, where=one.stage, advice="do not trust this release")
        found.append(wanted)
    return found


_WHATEVER, _FOLDER = "*", "/"


def _named(recipe: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return stage → name in its key → path as the recipe writes it; `*` for the one file, `/` for a whole folder."""
    data, base, evaluate = (_table(recipe, name) for name in ("data", "base", "evaluate"))
    scorer = _table(evaluate, "bertscore")
    rows = data.get("files") if data.get("source") == "files" else []
    rows = rows if isinstance(rows, list) else []
    found = {"fetch-data": {PurePosixPath(str(path)).name: str(path) for path in rows}}
    for stage, table in (("fetch-base", base), ("fetch-scorer", scorer)):
        if table.get("source") == "folder":
            found[stage] = {_FOLDER: str(table.get("path", ""))}
    for stage, path in (
        ("fetch-overrules", data.get("overrules")),
        ("fetch-neutral", evaluate.get("neutral")),
        ("fetch-questions", evaluate.get("unanswerable")),
    ):
        if path is not None:
            found[stage] = {_WHATEVER: str(path)}
    return found


def _table(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = raw.get(name, {})
    return found if isinstance(found, Mapping) else {}


def recipe_folder(root: Path, wanted: Iterable[Wanted]) -> Path:
    """Return the folder for the recipe: as deep below `root` as its paths climb, so that they stay within `root`."""
    climbs = [list(PurePosixPath(one.path).parts).count("..") for one in wanted]
    return root.joinpath(*["deeper"] * max(climbs, default=0))


def place(wanted: Sequence[Wanted], folder: Path, places: Sequence[Path], emit: Emit) -> None:
    """Lay every file where a recipe in `folder` looks for it, each checked after it was copied.

    A file is looked for by size and digest, whatever it is called, in `places` and everything below them. One with an
    absolute path is only checked there. Raises FetchError with the names and digests of all that are missing.
    """
    missing = [one for one in wanted if not _is_there(folder / one.path, one.sha256)]
    found = dict(search(missing, places, emit)) if missing else {}
    lost = [one for one in missing if one.sha256 not in found or Path(one.path).is_absolute()]
    if lost:
        message = f"{len(lost)} of the files that the release was made from are not here:\n    "
        message += "\n    ".join(one.told for one in lost)
        looked = ", ".join(map(str, places)) or "nowhere"
        advice = "put them into a folder, under any name, and name it: --data DIR"
        raise FetchError(message, where=f"looked in {looked}", advice=advice)
    for one in missing:
        _copy(found[one.sha256], folder / one.path, one)


def find_file(sha256: str, size: int | None, places: Sequence[Path], emit: Emit) -> Path | None:
    """Return a file of this digest in `places` (files, or folders with all below them), None without one."""
    return dict(search([Wanted("", sha256, size)], places, emit)).get(sha256)


def _is_there(path: Path, sha256: str) -> bool:
    try:
        return path.is_file() and digest_file(path) == sha256
    except OSError:
        return False


def search(wanted: Sequence[Wanted], places: Sequence[Path], emit: Emit) -> Iterator[tuple[str, Path]]:
    """Yield digest → file. Only files of a wanted size are read, where all sizes are known."""
    open_ = {one.sha256 for one in wanted}
    sizes = {one.size for one in wanted}
    for path in _candidates(places):
        if not open_:
            return
        try:
            if None not in sizes and path.stat().st_size not in sizes:
                continue
            emit("inputs.hashing", file=str(path), bytes=path.stat().st_size)
            found = digest_file(path)
        except OSError:
            continue
        if found in open_:
            open_.discard(found)
            emit("inputs.found", file=str(path), sha256=found)
            yield found, path


def _candidates(places: Sequence[Path]) -> Iterator[Path]:
    for place_ in places:
        if place_.is_file():
            yield place_
        for parent, folders, names in os.walk(place_):
            folders[:] = sorted(name for name in folders if name != ".git")
            yield from (path for name in sorted(names) if (path := Path(parent) / name).is_file())


def _copy(source: Path, target: Path, wanted: Wanted) -> None:
    """Copy one file. Raises FetchError: it may have been changed since it was found, or the disk is full."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    except OSError as error:
        message = f"{wanted.path} could not be copied: {error.strerror}"
        raise FetchError(message, where=str(source), advice="check space and permissions, then run again") from error
    if not _is_there(target, wanted.sha256):
        target.unlink()
        message = f"{wanted.path} changed while it was copied"
        raise FetchError(message, where=str(source), advice="run again when nothing writes to it")
