"""A finished seedling for tests that need one, whichever, and are not about its bytes: nothing is built for them."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]


def left_by_the_main_job() -> Path | None:
    """Return the build folder in which the main job has run, as tests/faults finds it; None where there is none."""
    from tests.faults.workshop import seedling_stages

    stages = seedling_stages()
    return stages.parents[1] if stages is not None else None


@functools.cache
def finished_build() -> Path | None:
    """Return that folder where a run would build nothing; None else. `status` only looks."""
    build = left_by_the_main_job()
    if build is None:
        return None
    command = [sys.executable, "-m", "pipeline", "status", "--build", str(build), "--log", "json"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    stages = json.loads(done.stdout.splitlines()[-1])["stages"]
    return build if {stage["state"] for stage in stages} == {"up to date"} else None


def share(finished: Path, build: Path) -> None:
    """Make a build folder in which every artifact of a finished one is a hit; that one is not written to.

    What a run may write is copied; contents, which it reads only, are linked.
    """
    origin, own = finished / "store", build / "store"
    for name in ("manifests", "index", "records"):
        shutil.copytree(origin / name, own / name)
    (own / "contents").mkdir()
    for content in (origin / "contents").iterdir():
        (own / "contents" / content.name).symlink_to(content.resolve(), target_is_directory=True)
