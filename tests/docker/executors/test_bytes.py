"""A stage gives the same bytes in a container as in a process."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

from pipeline.closure import INSIDE, inside_files
from pipeline.determinism import fixed_variables
from pipeline.digest import digest_folder
from pipeline.executors.contract import Executor, Request
from pipeline.executors.docker.executor import DockerExecutor
from pipeline.executors.local import LocalExecutor
from pipeline.images.lock import LockedImage
from pipeline.loading import load_recipe
from pipeline.settings import RunSettings
from pipeline.stages.registry import stages_of


def made_by(executor: Executor, folder: Path) -> Any:
    """Return the digests of the seedling's rows: the one stage whose program needs nothing but Python."""
    stage = next(item for item in stages_of(load_recipe("seedling")) if item.name == "fetch-data")
    for name in ("work", "scratch"):
        (folder / name).mkdir(parents=True)
    request = Request(
        stage=stage.name,
        program=stage.program or "",
        environment=stage.environment,
        parameters=stage.parameters,
        inputs={},
        work=folder / "work",
        scratch=folder / "scratch",
        variables=fixed_variables("avx2"),
        threads=1,
        code={path.relative_to(INSIDE).as_posix(): path for path in inside_files(stage.program or "")},
    )
    return digest_folder(executor.run(request, lambda *_, **__: None, threading.Event()))


def test_rows_are_the_same(tmp_path: Path, engine: Any, image: LockedImage) -> None:
    """File by file; weights of a training were compared by hand, with the real image."""
    docker = DockerExecutor(lambda _: image, RunSettings(), lambda *_, **__: None)
    local = LocalExecutor(lambda _: Path(sys.executable))
    assert made_by(docker, tmp_path / "docker") == made_by(local, tmp_path / "local")
