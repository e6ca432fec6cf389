"""What a release may replace: nothing, an empty folder, or a folder that a release wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pipeline.files import explained
from pipeline.releasing import layout
from pipeline.releasing.refusals import Refusal

_ALWAYS = (layout.CHAIN, layout.MANIFEST, layout.RECIPE, layout.MODEL_CARD, layout.PROVENANCE)
"""What the list of every release names. A folder that another program summed up and signed lacks one of them."""
_LINE = re.compile(r"[0-9a-f]{64}  (?P<name>.+)")
_MAX_LIST_BYTES = 1 << 20


def target_refusals(target: Path) -> Iterator[Refusal]:
    """Refuse to replace what is no release. Raises StoreError for a folder that cannot be read."""
    with explained(target):
        is_file, wrong = target.exists() and not target.is_dir(), _wrong(target)
    if is_file:
        yield Refusal("there is a file where the release folder would be", str(target), "name another with --to DIR")
    elif wrong:
        what = f"the folder would be replaced, and {wrong}"
        yield Refusal(what, str(target), "name another with --to DIR, or move these files away")


def _wrong(folder: Path) -> str:
    """Return why a folder is no release; empty for one that is, and for one that is empty or not there."""
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    if not there:
        return ""
    foreign = [path.name for path in there if not layout.is_released(path.name) or not _is_regular(path)]
    if foreign:
        return _holds(foreign)
    names = [path.name for path in there]
    lacking = [name for name in sorted(layout.UNLISTED) if name not in names]
    if lacking:
        return f"it holds no {lacking[0]}, which every release has"
    listed = _listed(folder / layout.CHECKSUMS)
    unnamed = [name for name in _ALWAYS if name not in listed]
    if unnamed:
        return f"its {layout.CHECKSUMS} does not name {unnamed[0]}, which every release has"
    return _holds([name for name in names if name not in listed | layout.UNLISTED])


def _holds(foreign: list[str]) -> str:
    return f"it holds what no release wrote: {foreign[0]}" if foreign else ""


def _is_regular(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _listed(path: Path) -> set[str]:
    """Return the names in a list of checksums; what is no line of one is passed over."""
    with path.open("rb") as stream:
        text = stream.read(_MAX_LIST_BYTES).decode(errors="replace")
    found = map(_LINE.fullmatch, text.splitlines())
    return {match["name"] for match in found if match is not None}
