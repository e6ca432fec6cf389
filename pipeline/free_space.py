"""Is there room on the disk for what stages will write? Asked before they start, not when the disk is full."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.artifact import Manifest
from pipeline.errors import NoSpaceError
from pipeline.files import explained
from pipeline.stages.stage import Stage

_GIGABYTE, _MEGABYTE = 10**9, 10**6


def needed(stages: Sequence[Stage], manifests: Mapping[str, Manifest]) -> Iterator[tuple[Stage, int]]:
    """Yield each stage with the bytes that it and those before it in `stages` need at most until its end.

    An input's size is that in its manifest, or what its stage will publish at most if it is one of `stages` itself.
    """
    published: dict[str, int] = {}
    total = 0
    for stage in stages:
        sizes = {
            name: sum(entry.size for entry in manifests[item.stage].select(item.files))
            if item.stage in manifests
            else published.get(item.stage, 0)
            for name, item in stage.inputs.items()
        }
        room = stage.room(sizes)
        yield stage, total + room.published + room.beside
        published[stage.name] = room.published
        total += room.published


def refuse_without_room(stages: Sequence[Stage], manifests: Mapping[str, Manifest], folder: Path) -> None:
    """Raise NoSpaceError, naming the first of `stages` that the disk under `folder` has no room for.

    A file system that does not tell its size is not judged.
    """
    with explained(folder):
        disk = shutil.disk_usage(folder)
    for stage, most in needed(stages, manifests) if disk.total else ():
        if most > disk.free:
            together = " with what is built before it" if stage is not stages[0] else ""
            raise NoSpaceError(
                f"no room for {stage.name}: it may take {shown(most)}{together}, and {shown(disk.free)} are free",
                where=str(folder),
                advice="free space, or run `python -m pipeline gc`, or name a folder on another disk with --build",
            )


def shown(size: int) -> str:
    """Return a size for people."""
    return f"{size / _GIGABYTE:,.1f} GB" if size >= _GIGABYTE else f"{size / _MEGABYTE:,.1f} MB"
