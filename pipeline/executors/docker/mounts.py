"""How files get into a container where the engine sees this machine's folders: each by a mount, inputs read-only."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Self

from pipeline.executors.contract import Request
from pipeline.executors.docker.specification import GIVEN, HOME, MADE, PACKAGES, TRACKED, Mount, job_user

_OTHERS_MAY_ENTER = 0o005


def bind(source: Path, target: PurePosixPath, *, writable: bool = False) -> dict[str, Any]:
    """Return one mount. The engine refuses a source that is not there."""
    return {"Type": "bind", "Source": str(source), "Target": str(target), "ReadOnly": not writable}


def input_mounts(files: Mapping[str, Path], target: PurePosixPath) -> Iterator[Mount]:
    """Yield the mounts that show exactly these files: a whole folder where all of it is declared, else each file."""
    folder = _common_folder(files)
    if folder is not None and _holds_only(folder, files):
        yield bind(folder, target)
        return
    inner: dict[str, dict[str, Path]] = {}
    for path, file in files.items():
        first, _, rest = path.partition("/")
        if rest:
            inner.setdefault(first, {})[rest] = file
        else:
            yield bind(file.resolve(), target / first)
    for name, below in inner.items():
        yield from input_mounts(below, target / name)


def _common_folder(files: Mapping[str, Path]) -> Path | None:
    """Return the folder below which every file lies under its own name."""
    found = {
        Path(str(file).removesuffix(f"/{path}")) if str(file).endswith(f"/{path}") else None
        for path, file in files.items()
    }
    return found.pop() if len(found) == 1 else None


def _holds_only(folder: Path, files: Mapping[str, Path]) -> bool:
    """Say whether a folder holds these regular files and nothing else, readable for any user."""
    seen = set()
    for path in folder.rglob("*"):
        if path.is_symlink():
            return False
        if not path.is_dir():
            seen.add(path.relative_to(folder).as_posix())
        elif path.stat().st_mode & _OTHERS_MAY_ENTER != _OTHERS_MAY_ENTER:
            return False
    return seen == set(files) and folder.stat().st_mode & _OTHERS_MAY_ENTER == _OTHERS_MAY_ENTER


class BoundFolders:
    """The files of one job, mounted from where they are."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._output = request.work / "output"
        self._home = request.work / "home"

    def __enter__(self) -> Self:
        user, group = job_user()
        self._home.mkdir()
        for folder in (self._output, self._home, self._request.scratch, *self._tracked()):
            if os.getuid() == 0:
                os.chown(folder, user, group)
        return self

    def __exit__(self, *_: object) -> None:
        """Make what trackers wrote this user's own, however the job ended."""
        if os.getuid() == 0:
            for folder in self._tracked():
                _make_own(folder)

    def _tracked(self) -> list[Path]:
        """Return the folders that trackers write to."""
        tracking = self._request.tracking
        return [] if tracking is None else [tracking.folder, *(tracking.folder / name for name in tracking.names)]

    def mounts(self) -> list[Mount]:
        """Return all mounts of the job."""
        request = self._request
        found: list[Mount] = [
            bind(request.work / "code", GIVEN / "code"),
            bind(request.work / "request.json", GIVEN / "request.json"),
            bind(self._output, MADE / "output", writable=True),
            bind(request.scratch, MADE / "scratch", writable=True),
            bind(self._home, HOME, writable=True),
        ]
        if request.tracking is not None:
            found.append(bind(request.tracking.packages.resolve(), PACKAGES))
            found.append(bind(request.tracking.folder.resolve(), TRACKED, writable=True))
        found += [bind(folder.resolve(), GIVEN / "inputs" / name) for name, folder in request.folders.items()]
        for name, files in request.inputs.items():
            found += input_mounts(files, GIVEN / "inputs" / name) if files else self._empty(name)
        return found

    def _empty(self, name: str) -> list[Mount]:
        folder = self._request.work / "empty"
        folder.mkdir(exist_ok=True)
        return [bind(folder, GIVEN / "inputs" / name)]

    def collect(self) -> None:
        """Make what root's job made root's, so that no other user of this machine can change it later."""
        if os.getuid() == 0:
            _make_own(self._output)


def _make_own(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 0, 0, follow_symlinks=False)
