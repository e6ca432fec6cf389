"""What every executor gives a job: its code, its request, its environment variables."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePath

from pipeline.digest import digest_file
from pipeline.errors import ExecutorError
from pipeline.executors.contract import Request

_FOLDER_MODE, _FILE_MODE = 0o755, 0o644
"""Readable for the job's user, whoever that is and whatever the umask here."""


def write_code(request: Request, folder: Path) -> None:
    """Copy exactly the files that the job's key names into `folder`, as the package `inside`.

    Raises ExecutorError for one that is no longer what the key names.
    """
    for path, file in request.code.items():
        target = folder / "inside" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        target.chmod(_FILE_MODE)
        named = request.code_sha256.get(path)
        if named is not None and digest_file(target) != named:
            message = f"{request.stage}: the code changed during the run"
            raise ExecutorError(message, where=str(file), advice="run again: what was built before the change stays")
    for inner in (folder, *folder.rglob("*")):
        if inner.is_dir():
            inner.chmod(_FOLDER_MODE)


def write_request(
    request: Request, file: Path, folders: Mapping[str, PurePath], *, output: PurePath, scratch: PurePath
) -> None:
    """Write the job's request; all paths are those that the job sees."""
    body = {
        "program": request.program,
        "parameters": dict(request.parameters),
        "inputs": {name: str(path) for name, path in folders.items()},
        "output": str(output),
        "scratch": str(scratch),
        "threads": request.threads,
    }
    file.write_text(json.dumps(body, ensure_ascii=False), encoding="utf-8")
    file.chmod(_FILE_MODE)


_BESIDE_OTHERS = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Threads that spin while they wait starve other jobs: 11 s became 104 s. No byte depends on it."""

ALONE = {"GOMP_SPINCOUNT": "30000"}
"""Threads that sleep at once wake up late: a training step of 0.09 s became 0.15 s. This is some 0.1 ms of spinning, so
that a neighbour that is no job of ours is borne; libgomp's own default spins ten times longer."""


def tracking_variables(request: Request, *, packages: PurePath, folder: PurePath) -> dict[str, str]:
    """Return what tells a job which trackers watch it: variables, because all that its request says is in its key.

    `packages` and `folder` are the paths that the job sees.
    """
    if request.tracking is None:
        return {}
    return {
        "TRACKERS": ",".join(request.tracking.names),
        "TRACKERS_PROJECT": request.tracking.project,
        "TRACKERS_RUN": request.run,
        "TRACKERS_PACKAGES": str(packages),
        "TRACKERS_FOLDER": str(folder),
    }


def job_variables(request: Request, python: PurePath, *, home: PurePath, temporary: PurePath) -> dict[str, str]:
    """Return the variables that a job gets whatever its executor, those that fix its bytes among them."""
    threads = str(request.threads)
    return {
        "PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "USER": "job",
        "XDG_CACHE_HOME": str(home),
        "HF_HOME": str(home),
        "TMPDIR": str(temporary),
        **(ALONE if request.alone else _BESIDE_OTHERS),
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        **request.variables,
    }
