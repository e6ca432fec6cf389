"""A release on a shelf: a folder or a bucket, where each file is written whole or not at all.

The pointer is SHA256SUMS and then model.sig. They are written last, after everything else was read back; where
another release is replaced, its pointer is removed first. So at no time a list of checksums lies beside files that it
does not fit. The names that only the old release had are written down meanwhile (REPLACED), so that a run which is
killed then finds them again: without them its files would be those of somebody else.
"""

from __future__ import annotations

from typing import BinaryIO, Protocol

from pipeline.errors import PublishError, ReleaseError, printable
from pipeline.publishing.items import Emit, Item, Progress, digest_stream
from pipeline.publishing.peer import MISSING, OTHER, THERE, Placement, Survey
from pipeline.publishing.publish import wrong_digest
from pipeline.publishing.release import Release, read_checksums
from pipeline.releasing import layout

REPLACED = "SHA256SUMS.replaced"
"""Names of files, a line each, that are being removed with the release that listed them."""
_LISTED = 16 * 1024 * 1024
"""A list of checksums has fewer bytes."""


class Shelf(Protocol):
    """Where files lie by name. Methods raise PublishError, or NoSpaceError for a full disk."""

    where: str

    def sizes(self) -> dict[str, int]:
        """Return the size in bytes of each file that is there whole."""

    def leftovers(self) -> list[str]:
        """Return the names of what killed runs left half written."""

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading."""

    def write(self, item: Item, progress: Progress) -> None:
        """Put a file there, whole or not at all; one of its name is replaced."""

    def remove(self, name: str) -> None:
        """Remove a file that may be there."""


class ShelfPeer:
    """Publishes to a shelf."""

    checked = "every file was read back from the target and its sha256 compared"

    def __init__(self, shelf: Shelf, release: Release, emit: Emit) -> None:
        self.where = shelf.where
        self._shelf = shelf
        self._release = release
        self._emit = emit

    def survey(self) -> Survey:
        """Read back every file there that has the right size; compare."""
        sizes = self._shelf.sizes()
        placements = tuple(self._placement(item, sizes) for item in self._release.items)
        states = {one.item.name: one.state for one in placements}
        known = set(states) | self._listed_there(sizes) | self._replaced_there(sizes)
        conflicts = [self._conflict(one) for one in placements if one.state == OTHER]
        self._refuse_foreign(set(sizes) - known)
        old = tuple(sorted(set(sizes) & known - set(states)))
        conflicts += [f"{name}: of the release that is there" for name in old]
        return Survey(
            placements,
            (self.where,),
            conflicts=tuple(conflicts),
            removals=(*old, *self._shelf.leftovers()),
            pointed=all(states[name] == THERE for name in layout.UNLISTED),
        )

    def send(self, survey: Survey) -> None:
        """Clear the way, send what is missing, read it back."""
        leftovers = self._shelf.leftovers()
        for name in leftovers:
            self._shelf.remove(name)
        if survey.conflicts:
            self._clear([name for name in survey.removals if name not in leftovers])
        for item in survey.unsent:
            if item.name not in layout.UNLISTED:
                self._put(item)

    def point(self, survey: Survey) -> str:
        """Write the list of checksums, then the signature over everything."""
        for name in (layout.CHECKSUMS, layout.SIGNATURE):
            if survey.conflicts or self._release[name] in survey.unsent:
                self._put(self._release[name])
        return f"{self.where} ({layout.CHECKSUMS} sha256:{self._release.checksums.sha256})"

    def _clear(self, old: list[str]) -> None:
        """Take away the release that is there: its pointer first, then `old`, what only it had; REPLACED goes last."""
        files = [name for name in old if name != REPLACED]
        if files:
            item = Item.of(REPLACED, "".join(f"{name}\n" for name in files).encode())
            self._shelf.write(item, Progress(self._emit, "send", item))
        for name in (layout.SIGNATURE, layout.CHECKSUMS, *files, *([REPLACED] if old else [])):
            self._shelf.remove(name)

    def _put(self, item: Item) -> None:
        progress = Progress(self._emit, "send", item)
        self._shelf.write(item, progress)
        progress.end()
        found = self._digest(item)
        if found != item.sha256:
            self._shelf.remove(item.name)
            raise wrong_digest(item.name, item.sha256, found, self.where, self._emit)

    def _digest(self, item: Item) -> str:
        progress = Progress(self._emit, "read back", item)
        with self._shelf.open(item.name) as stream:
            _, found = digest_stream(stream, progress)
        progress.end()
        return found

    def _placement(self, item: Item, sizes: dict[str, int]) -> Placement:
        if item.name not in sizes:
            return Placement(item, MISSING)
        if sizes[item.name] != item.size and item.name != layout.CHECKSUMS:
            return Placement(item, OTHER)
        found = self._digest(item)
        return Placement(item, THERE if found == item.sha256 else OTHER, found)

    def _refuse_foreign(self, names: set[str]) -> None:
        """Refuse files that no release names: they are not ours to remove, and beside them none would verify."""
        if names:
            message = f"in the place of the release lie files of something else: {printable(', '.join(sorted(names)))}"
            raise PublishError(message, where=self.where, advice="move them away, or name another target")

    def _conflict(self, placement: Placement) -> str:
        told = f"sha256:{placement.found}" if placement.found else "another size"
        return f"{placement.item.name}: {told} is there, sha256:{placement.item.sha256} would be"

    def _replaced_there(self, sizes: dict[str, int]) -> set[str]:
        """Return the names of a release that a killed run was removing, with that of their list."""
        if not 0 < sizes.get(REPLACED, 0) <= _LISTED:
            return set()
        with self._shelf.open(REPLACED) as stream:
            return {REPLACED, *stream.read(_LISTED).decode("utf-8", "replace").splitlines()}

    def _listed_there(self, sizes: dict[str, int]) -> set[str]:
        """Return the names that the release which is there has, as far as its list can be read."""
        if not 0 < sizes.get(layout.CHECKSUMS, 0) <= _LISTED:
            return set()
        with self._shelf.open(layout.CHECKSUMS) as stream:
            content = stream.read(_LISTED)
        try:
            return set(read_checksums(content, self.where)) | layout.UNLISTED
        except ReleaseError:
            return set()
