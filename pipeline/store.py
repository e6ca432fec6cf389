"""The store: content-addressed folders, and manifests that say which key has which content.

contents/<digest>/...     the files of an artifact, named by the digest of their list
manifests/<key>.json      written last: it makes the artifact exist
index/<digest>.json       size, times and inode of each file when it was last hashed (a cache)
records/<key>.json        wall time and speeds of the build (not compared, not part of the artifact)
scratch/<key>/            what an interrupted stage left to go on from
tmp/<run>/                work in progress; removed when its run is dead
quarantine/               damaged contents, kept for a look
locks/                    one per key, one for the whole store
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.artifact import Manifest
from pipeline.digest import digest_file, digest_folder, list_files
from pipeline.errors import StoreBusyError
from pipeline.files import explained, locked, sync_folder, sync_tree, try_lock, write_json_atomic

Signature = list[int]


def signature(path: Path) -> Signature:
    """Return what changes when a file does: size, mtime, ctime (ns) and inode.

    A flipped byte with the modification time put back still moves the ctime.
    """
    found = path.lstat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


class Store:
    """One store on disk. Safe for several processes at once."""

    def __init__(self, root: Path, run: str = "manual") -> None:
        self.root = root
        self.run = run
        self._is_open = False

    def _path(self, kind: str, name: str) -> Path:
        return self.root / kind / name

    def folder(self, manifest: Manifest) -> Path:
        """Return the folder that holds an artifact's files."""
        return self._path("contents", manifest.content)

    def folders(self, named: Mapping[str, str], manifests: Mapping[str, Manifest]) -> dict[str, Path]:
        """Return the folder for each name → stage whose manifest is there."""
        return {name: self.folder(manifests[stage]) for name, stage in named.items() if stage in manifests}

    def manifest_path(self, key: str) -> Path:
        """Return where the manifest of a key is, or would be."""
        return self._path("manifests", f"{key}.json")

    # -- reading ---------------------------------------------------------------------------------

    def manifest(self, key: str) -> Manifest | None:
        """Return the manifest of a key; None when there is none, it is another's, or it cannot be read as one."""
        try:
            found = Manifest.from_json(json.loads(self.manifest_path(key).read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        return found if found.key == key else None

    def damage(self, manifest: Manifest, *, rehash: bool = False) -> list[str]:
        """Return what is wrong with an artifact's files; an empty list means none.

        A file whose stat signature is the recorded one is trusted; any other is hashed, and all are
        with `rehash`.
        """
        folder = self.folder(manifest)
        known = self._signatures(manifest)
        problems: list[str] = []
        fresh: dict[str, Signature] = {}
        for entry in manifest.files:
            path = folder / entry.path
            try:
                now = signature(path)
                if rehash or known.get(entry.path) != now:
                    found = digest_file(path)
                    if found != entry.sha256:
                        problems.append(
                            f"{entry.path}: sha256 is {found[:16]}…, the manifest says {entry.sha256[:16]}…"
                        )
                        continue
                    fresh[entry.path] = now
            except OSError as error:
                problems.append(f"{entry.path}: {error.strerror}")
        problems += [f"{name}: not in the manifest" for name in self._extra_files(manifest)]
        if fresh and not problems:
            self._write_signatures(manifest, {**known, **fresh})
        return problems

    def _extra_files(self, manifest: Manifest) -> list[str]:
        folder = self.folder(manifest)
        named = {entry.path for entry in manifest.files}
        try:
            found = {path.relative_to(folder).as_posix() for path in list_files(folder)}
        except ValueError as error:
            return [str(error)]
        return sorted(found - named)

    def _signatures(self, manifest: Manifest) -> dict[str, Signature]:
        known = _read_object(self._path("index", f"{manifest.content}.json"))
        paths = {entry.path for entry in manifest.files}
        return {path: found for path, found in known.items() if path in paths and _is_signature(found)}

    def _write_signatures(self, manifest: Manifest, signatures: Mapping[str, Signature]) -> None:
        try:
            write_json_atomic(self._path("index", f"{manifest.content}.json"), signatures, durable=False)
        except OSError:
            return  # a cache: a read-only store can still be read

    def record(self, key: str) -> dict[str, Any]:
        """Return the build record of a key: wall time and measured speeds; empty when unknown."""
        return _read_object(self._path("records", f"{key}.json"))

    # -- writing ---------------------------------------------------------------------------------

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Use the store for a run: shared with other runs, never at the same time as `gc`. May be nested."""
        if self._is_open:
            yield
            return
        with explained(self.root), locked(self._path("locks", "store"), shared=True):
            mine = self._register()
            self._is_open = True
            try:
                yield
            finally:
                self._is_open = False
                shutil.rmtree(self._path("tmp", self.run), ignore_errors=True)
                os.close(mine)

    def _register(self) -> int:
        """Claim this run's folder of work in progress, and remove those of dead runs: nobody holds their lock."""
        with locked(self._path("locks", "register"), waiting=lambda: True):
            for folder in self._entries("tmp"):
                handle = try_lock(folder / ".lock")
                if handle is not None:
                    shutil.rmtree(folder, ignore_errors=True)
                    os.close(handle)
            mine = try_lock(self._path("tmp", self.run) / ".lock")
        if mine is None:
            message = "a run with this name is already there"
            raise StoreBusyError(message, where=self.run, advice="run again: a new run takes a new name")
        return mine

    def key_lock(self, key: str, waiting: Callable[[], bool] | None = None) -> Any:
        """Return a context manager that holds a key: two runs never build it at the same time."""
        return locked(self._path("locks", key), waiting=waiting)

    def workspace(self, stage: str) -> Path:
        """Return an empty folder for one stage's work in progress."""
        folder = self._path("tmp", self.run) / stage
        with explained(folder):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        return folder

    def scratch(self, key: str) -> Path:
        """Return the folder that a stage may go on from after an interruption; of this user, if several share a store.

        Work in progress has no digests, and its files are their owner's alone.
        """
        folder = self._scratch(key)
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _scratch(self, key: str) -> Path:
        folder = self._path("scratch", key)
        try:
            is_mine = folder.stat().st_uid == os.geteuid()
        except OSError:
            is_mine = True
        return folder if is_mine else folder.with_name(f"{key}-{os.geteuid()}")

    def publish(self, manifest: Manifest, output: Path, record: Mapping[str, Any]) -> None:
        """Move `output` into the store and make it exist under its key: bytes first, manifest last.

        `manifest.files` must describe `output`. A crash at any moment leaves the old state or the
        new one. Raises StoreError.
        """
        target = self.folder(manifest)
        with explained(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            self._settle(output, target.parent)
            with locked(self._path("locks", manifest.content), waiting=lambda: True):
                if target.exists() and self.damage(manifest, rehash=True):
                    self.quarantine(manifest)
                if not target.exists():
                    output.rename(target)
                    sync_folder(target.parent)
            write_json_atomic(self._path("records", f"{manifest.key}.json"), record)
            self.write_manifest(manifest)
            shutil.rmtree(self._scratch(manifest.key), ignore_errors=True)
            # Last: a file that was hard-linked from scratch gets a new ctime when scratch goes.
            self._write_signatures(manifest, {e.path: signature(target / e.path) for e in manifest.files})

    def _settle(self, output: Path, parent: Path) -> None:
        """Make a finished folder durable, and its files read-only.

        Who may write to the store's own folder may move this one: a job made it, by rules that know of no group.
        """
        mode = stat.S_IMODE(parent.stat().st_mode)
        for folder, _, _ in os.walk(output):
            Path(folder).chmod(mode)
        for path in list_files(output):
            path.chmod(0o444)
        sync_tree(output)

    def write_manifest(self, manifest: Manifest) -> None:
        """Write a manifest at once; the artifact exists from then on."""
        with explained(self.root):
            write_json_atomic(self.manifest_path(manifest.key), manifest.to_json())

    def describe(self, key: str, stage: str, components: Mapping[str, Any], output: Path) -> Manifest:
        """Hash a finished output folder into a manifest without verdicts."""
        return Manifest(key=key, stage=stage, components=components, files=digest_folder(output))

    def distrust(self, manifest: Manifest) -> None:
        """Forget what was seen of an artifact's files: whoever looks next hashes them."""
        with suppress(OSError):  # in a store that cannot be written nothing is built upon it either
            self._path("index", f"{manifest.content}.json").unlink(missing_ok=True)

    def set_aside_if_damaged(self, manifest: Manifest) -> Path:
        """Set damaged contents aside, unless another run has repaired them meanwhile; return where they are."""
        with locked(self._path("locks", manifest.content), waiting=lambda: True):
            if self.folder(manifest).exists() and not self.damage(manifest, rehash=True):
                return self.folder(manifest)
            return self.quarantine(manifest)

    def quarantine(self, manifest: Manifest) -> Path:
        """Set contents aside, so that they are never used; return where they are. Hold the lock of the content."""
        source = self.folder(manifest)
        for number in range(1000):
            target = self._path("quarantine", f"{manifest.content}-{number}")
            if not target.exists():
                break
        with explained(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.exists():
                source.rename(target)
            self._path("index", f"{manifest.content}.json").unlink(missing_ok=True)
        return target

    # -- cleaning --------------------------------------------------------------------------------

    def collect(
        self, find_keep: Callable[[], set[str]], *, scratch: bool = False, dry_run: bool = False
    ) -> dict[str, int]:
        """Remove every artifact whose key `find_keep` does not return; return counts and the bytes freed.

        Takes the store for itself: StoreBusyError while a run uses it. What is kept is asked only then,
        when no run can be about to name more. Interrupted work in `scratch/` stays unless `scratch` is set.
        """
        with explained(self.root), locked(self._path("locks", "store")):
            keep = find_keep()
            kept = sum(path.stem in keep for path in self._entries("manifests"))
            contents = {manifest.content for key in keep if (manifest := self.manifest(key)) is not None}
            doomed = [path for path in self._entries("manifests") if path.stem not in keep]
            doomed += [path for path in self._entries("records") if path.stem not in keep]
            doomed += [path for path in self._entries("contents") if path.name not in contents]
            doomed += [path for path in self._entries("index") if path.stem not in contents]
            doomed += self._entries("quarantine") + (self._entries("scratch") if scratch else [])
            freed = sum(_size(path) for path in doomed)
            if not dry_run:
                for path in doomed:  # manifests come first, so that nothing ever points to a removed content
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                for path in self._entries("locks"):
                    if path.name != "store":  # held right now; the others are taken only under it
                        path.unlink()
        removed = sum(path.parent.name == "manifests" and not path.name.startswith(".") for path in doomed)
        return {"artifacts_removed": removed, "artifacts_kept": kept, "bytes_freed": freed}

    def _entries(self, kind: str) -> list[Path]:
        folder = self.root / kind
        return sorted(folder.iterdir()) if folder.is_dir() else []


def _is_signature(found: Any) -> bool:
    return isinstance(found, list) and all(type(one) is int for one in found)


def _read_object(path: Path) -> dict[str, Any]:
    """Return a JSON object; an empty one where there is none that can be read."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _size(path: Path) -> int:
    """Return the bytes in a file or below a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(item.stat().st_size for item in path.rglob("*") if item.is_file())
