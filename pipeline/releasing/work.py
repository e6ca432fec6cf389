"""A release that is being written: its staging folder, and what is known of each file in it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.artifact import Manifest
from pipeline.context import Context
from pipeline.digest import FileEntry, digest_file
from pipeline.fetching.copying import ByteProgress
from pipeline.files import explained
from pipeline.releasing.refusals import STAGE, Refusal, tell_and_refuse
from pipeline.store import Signature, Store, signature


@dataclass
class Work:
    """A release that is being written into `staging`.

    `sums` fills with the sha256 of every file, `seen` with what the system said of it when it was hashed.
    """

    context: Context
    store: Store
    manifests: Mapping[str, Manifest]
    staging: Path
    emit: Callable[..., None]
    sums: dict[str, str] = field(default_factory=dict)
    seen: dict[str, Signature] = field(default_factory=dict)

    def write(self, name: str, data: bytes) -> None:
        """Write one file."""
        with explained(self.staging):
            path = self.staging / name
            path.write_bytes(data)
            path.chmod(0o444)  # a reminder: what is edited is no longer what was signed
            self.look_at(path)
        self.sums[name] = hashlib.sha256(data).hexdigest()

    def look_at(self, path: Path) -> None:
        """Remember a file's size, times and inode; to be called before it is hashed. Raises OSError."""
        self.seen[path.name] = signature(path)

    def refuse_changed(self) -> None:
        """Raise ReleaseError unless the folder holds the files that were hashed and no other, each as it was then."""
        with explained(self.staging):
            changes = list(self._changes())
        advice = "look for what else writes there, then run the command again"
        where = str(self.staging.parent)
        found = [Refusal(change, where, advice) for change in changes]
        tell_and_refuse(found, self.context.recipe.name, self.emit)

    def _changes(self) -> Iterator[str]:
        there = {path.name for path in self.staging.iterdir()}
        for name in sorted(there | self.sums.keys()):
            if name not in self.sums:
                yield f"{name} was added while the release was written"
            elif name not in there:
                yield f"{name} was removed after it had been hashed"
            elif signature(self.staging / name) != self.seen[name] and not self._is_as_hashed(name):
                yield f"{name} was changed after it had been hashed"

    def _is_as_hashed(self, name: str) -> bool:
        """Read a file once more: a second name of the store's file has another time when that one gets a third."""
        path = self.staging / name
        return not path.is_symlink() and path.is_file() and digest_file(path) == self.sums[name]

    def progress(self, what: str, total: int) -> ByteProgress:
        """Return a counter of bytes that tells as `release.<what>`."""
        return ByteProgress(lambda _event, **data: self.emit(f"release.{what}", stage=STAGE, **data), total)

    def refuse_damaged(self, damaged: Sequence[tuple[str, FileEntry]]) -> None:
        """Raise ReleaseError for stages' files that are not what their manifests say, if there are any.

        The next run looks at them then, whatever their times say.
        """
        for stage, _ in damaged:
            self.store.distrust(self.manifests[stage])
            shutil.rmtree(self.context.build / "unchanged", ignore_errors=True)
        advice = "run the recipe again: what is damaged is set aside and built anew"
        refusals = [
            Refusal(f"{stage}/{entry.path} is damaged: it is not what its manifest says", f"stage {stage}", advice)
            for stage, entry in damaged
        ]
        tell_and_refuse(refusals, self.context.recipe.name, self.emit)
