"""A bench whose jobs run in containers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pipeline.executors.contract import Executor
from tests.support.executor_contract import Bench


class DockerBench(Bench):
    """Looks for containers and volumes."""

    def __init__(self, folder: Path, executor: Executor, engine: Any) -> None:
        super().__init__(folder, executor)
        self.engine = engine

    def left_over(self) -> list[str]:
        """Return the containers and volumes of this process that are still on the engine."""
        wanted = {"label": f"fine-tune-pipeline.owner-pid={os.getpid()}"}
        containers = [str(item["Id"]) for item in self.engine.containers(all=True, filters=wanted)]
        return containers + [str(item["Name"]) for item in self.engine.volumes(filters=wanted).get("Volumes") or ()]
