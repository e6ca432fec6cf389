"""What a store looks like after a kill: whether anything that it holds is wrong, still running, or blocked."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pipeline.artifact import Manifest
from pipeline.digest import digest_folder
from pipeline.files import try_lock
from pipeline.plan import key_of
from pipeline.store import Store
from tests.chaos.processes import about
from tests.golden.digests import Digests

_DYING_S: Final = 10.0
"""Longest that what was killed may take to be gone."""


@dataclass
class Inspector:
    """Looks at one build folder. `sound` are the digests of an uninterrupted build: stage → file → sha256."""

    build: Path
    sound: Digests
    seen: dict[str, str] = field(default_factory=dict)
    """Key → content of what was looked at already."""

    def wrong_artifacts(self) -> list[str]:
        """Hash everything that was published since the last look; return a line for each that is not as it must be."""
        store, problems = Store(self.build / "store"), []
        for path in sorted((self.build / "store" / "manifests").glob("[!.]*.json")):
            manifest = store.manifest(path.stem)
            if manifest is None:
                problems.append(f"{path.name}: a manifest that cannot be read")
            elif self.seen.get(manifest.key) != manifest.content:
                problems += self._problems(store, manifest)
                self.seen[manifest.key] = manifest.content
        return problems

    def _problems(self, store: Store, manifest: Manifest) -> list[str]:
        try:
            whole = digest_folder(store.folder(manifest)) == manifest.files
        except (OSError, ValueError) as error:
            return [f"{manifest.stage}: {error}"]
        problems = [] if whole else [f"{manifest.stage}: not the bytes that its manifest names"]
        if key_of(manifest.components) != manifest.key:
            problems.append(f"{manifest.stage}: made of something else than its key stands for")
        files = {entry.path: entry.sha256 for entry in manifest.files}
        if files != dict(self.sound.get(manifest.stage, files)):
            problems.append(f"{manifest.stage}: other bytes than without kills")
        return problems

    def orphans(self) -> list[int]:
        """Return processes that still work in the build folder when the killed ones have had time to die."""
        deadline = time.monotonic() + _DYING_S
        while (found := about(self.build)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def blocked(self) -> list[str]:
        """Return the locks that somebody holds though nobody lives."""
        found = []
        for path in [*(self.build / "store" / "locks").glob("*"), *self.build.glob("store/tmp/*/.lock")]:
            handle = try_lock(path)
            if handle is None:
                found.append(path.name)
            else:
                os.close(handle)
        return found

    def saved(self) -> frozenset[tuple[str, int, int]]:
        """Return what an attempt can go on from: manifests, and files in scratch with sizes and times."""
        paths = [*self.build.glob("store/manifests/[!.]*.json"), *self.build.glob("store/scratch/*/**/*")]
        return frozenset(_looks(path) for path in paths if path.is_file())

    def last_saved(self, since: float) -> float:
        """Return the newest time (of the clock) of a file in scratch, but not before `since`."""
        times = [when for _, _, when in self.saved()]
        return max([since, *(when / 1e9 for when in times)])


def _looks(path: Path) -> tuple[str, int, int]:
    about_it = path.stat()
    return str(path), about_it.st_size, about_it.st_mtime_ns


def last_digests(build: Path, recipe: str) -> Mapping[str, Mapping[str, str]]:
    """Return stage → file → sha256 of a recipe's last build, however far it went."""
    store, found = Store(build / "store"), {}
    for stage, key in json.loads((build / recipe / "state.json").read_bytes())["stages"].items():
        manifest = store.manifest(key)
        found[stage] = {} if manifest is None else {entry.path: entry.sha256 for entry in manifest.files}
    return found
