"""Programs that run beside any plan: what a command asks of files, with nothing published."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.closure import INSIDE, code_digests, inside_files
from pipeline.determinism import fixed_variables
from pipeline.digest import list_files
from pipeline.execute import processor_count
from pipeline.executors.contract import Backend, Request
from pipeline.stages.stage import Environment
from pipeline.store import Store


@dataclass(frozen=True)
class Asides:
    """Runs programs in a store's workspaces, which are gone when the store is closed."""

    backend: Backend
    store: Store
    emit: Callable[..., None]
    instruction_set: str = "avx2"

    def run(
        self,
        label: str,
        program: str,
        environment: Environment,
        inputs: Mapping[str, Mapping[str, Path]],
        parameters: Mapping[str, Any],
    ) -> Path:
        """Run one program and return the folder that it filled. `label` names it in events. Raises PipelineError."""
        self.backend.environments.prepare(environment)
        files = inside_files(program)
        work = self.store.workspace(label)
        scratch = work / "scratch"
        scratch.mkdir()
        request = Request(
            stage=label,
            program=program,
            environment=environment,
            parameters=parameters,
            inputs=inputs,
            work=work,
            scratch=scratch,
            variables=fixed_variables(self.instruction_set),
            threads=processor_count(),
            alone=True,
            code={file.relative_to(INSIDE).as_posix(): file for file in files},
            code_sha256={path.removeprefix(f"{INSIDE.name}/"): sha for path, sha in code_digests(files).items()},
            run=self.store.run,
        )

        def sink(event: str, **data: Any) -> None:
            data.pop("stage", None)
            self.emit(event, stage=label, **data)

        started = time.monotonic()
        self.emit("stage.started", stage=label, summary=program, changed=[])
        output = self.backend.executor.run(request, sink, threading.Event())
        size = sum(path.stat().st_size for path in list_files(output))
        self.emit("stage.finished", stage=label, bytes=size, seconds=round(time.monotonic() - started, 3))
        return output
