"""Do the work of one stage: by a job of the executor, or by a function of the host. Nothing is published here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifact import Manifest
from pipeline.closure import INSIDE, inside_files
from pipeline.errors import InterruptedRunError
from pipeline.executors.contract import Executor, Request, Tracking
from pipeline.files import explained
from pipeline.plan import Pins, input_digests
from pipeline.stages.stage import HostJob, Stage
from pipeline.store import Store

Sink = Callable[..., None]
"""Takes the events of a stage at work: a name, and data by keyword."""


@dataclass(frozen=True)
class Order:
    """What is to be made of what.

    `manifests` are those of all stages that are there; `verdicts` the gates' of every stage before, for a function of
    the host that reads them; `table` the run settings for the stage's family. `alone` says that nothing runs beside it.
    """

    stage: Stage
    key: str
    manifests: Mapping[str, Manifest]
    verdicts: Mapping[str, Any]
    table: Mapping[str, Any]
    threads: int
    alone: bool


@dataclass(frozen=True)
class Maker:
    """What a stage's work takes beside its order, the same for every stage of a run."""

    pins: Pins
    store: Store
    executor: Executor
    vendor_tree: Callable[[], Path]
    tracking: Tracking | None
    cancelled: threading.Event

    def make(self, order: Order, sink: Sink) -> Path:
        """Do the work in a fresh folder; return the filled output folder. Raises what the stage's work raises."""
        work = self.store.workspace(order.stage.name)
        if order.stage.host is not None:
            return self._on_host(order, order.stage.host, work, sink)
        return self.executor.run(self._request(order, work), sink, self.cancelled)

    def _request(self, order: Order, work: Path) -> Request:
        stage = order.stage
        return Request(
            stage=stage.name,
            program=stage.program or "",
            environment=stage.environment,
            parameters=stage.parameters,
            inputs={name: self._files(order, name) for name in stage.inputs},
            work=work,
            scratch=self.store.scratch(order.key),
            variables=self.pins.fixed,
            threads=order.threads,
            alone=order.alone,
            folders={"vendor": self.vendor_tree()} if stage.vendored else {},
            code={file.relative_to(INSIDE).as_posix(): file for file in inside_files(stage.program or "")},
            code_sha256={
                path.removeprefix(f"{INSIDE.name}/"): digest
                for path, digest in self.pins.code.get(stage.name, {}).items()
            },
            run=self.store.run,
            tracking=self._tracking(stage),
        )

    def _files(self, order: Order, name: str) -> dict[str, Path]:
        """Return the files of one input: path below the input's folder → where it lies."""
        item = order.stage.inputs[name]
        manifest = order.manifests[item.stage]
        folder = self.store.folder(manifest)
        return {entry.path: folder / entry.path for entry in manifest.select(item.files)}

    def _tracking(self, stage: Stage) -> Tracking | None:
        """Return what watches a stage, with the folders that it writes to."""
        if self.tracking is None or not stage.tracked:
            return None
        for name in self.tracking.names:
            folder = self.tracking.folder / name
            with explained(folder):
                folder.mkdir(parents=True, exist_ok=True)
        return self.tracking

    def _on_host(self, order: Order, function: Callable[[HostJob], None], work: Path, sink: Sink) -> Path:
        stage = order.stage

        def emit(event: str, **data: Any) -> None:
            """Pass an event on; where the run is being stopped, the stage ends here."""
            if self.cancelled.is_set():
                raise InterruptedRunError("stopped before it was done", where=stage.name, advice="run again")
            sink(event, **data)

        output = work / "output"
        output.mkdir()
        parameters: dict[str, Any] = dict(stage.parameters)
        if stage.reads_verdicts:
            parameters |= {"verdicts": order.verdicts, "digests": input_digests(stage, order.manifests)}
        started = time.monotonic()
        with explained(output):
            job = HostJob(
                parameters,
                self.store.folders(stage.read_by_gates, order.manifests),
                output,
                self.store.scratch(order.key),
                emit,
                order.table,
                self.store.root.parent / "cache" / stage.family,
                self.cancelled,
            )
            function(job)
        sink("job.done", seconds=round(time.monotonic() - started, 4))
        return output
