"""A release that is being written: its staging folder, and what is known of each file in it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.artifact import Manifest
from pipeline.context import Context
from pipeline.digest import FileEntry
from pipeline.fetching.copying import ByteProgress
from pipeline.files import explained
from pipeline.releasing.refusals import STAGE, Refusal, tell_and_refuse
from pipeline.store import Store


@dataclass
class Work:
    """A release that is being written into `staging`; `sums` fills with the sha256 of every file."""

    context: Context
    store: Store
    manifests: Mapping[str, Manifest]
    staging: Path
    emit: Callable[..., None]
    sums: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, data: bytes) -> None:
        """Write one file."""
        with explained(self.staging):
            path = self.staging / name
            path.write_bytes(data)
            path.chmod(0o444)  # a reminder: what is edited is no longer what was signed
        self.sums[name] = hashlib.sha256(data).hexdigest()

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
