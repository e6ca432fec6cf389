"""The docker executor: one hardened container for each job."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from pipeline.errors import SettingsError
from pipeline.executors.contract import EventSink, Request
from pipeline.executors.docker import specification
from pipeline.executors.docker.container import created, refuse_missing_gpus, run
from pipeline.executors.docker.engine import Engine, Engines
from pipeline.executors.docker.kernel_cache import KernelCaches
from pipeline.executors.docker.mounts import BoundFolders
from pipeline.executors.docker.owner import labels
from pipeline.executors.docker.specification import (
    GIVEN,
    HOME,
    MADE,
    PACKAGES,
    TEMPORARY,
    TRACKED,
    Limits,
    interpreter,
    job_command,
)
from pipeline.executors.docker.verdict import judge
from pipeline.executors.docker.volumes import Volumes
from pipeline.executors.events import JobOutput
from pipeline.executors.layout import job_variables, tracking_variables, write_code, write_request
from pipeline.executors.patience import Patience
from pipeline.files import explained
from pipeline.images.lock import CAPABILITIES, LockedImage
from pipeline.settings import RunSettings


class DockerExecutor:
    """Runs jobs in containers. `image` answers for an environment's name; `emit` hears what happens beside the jobs."""

    def __init__(self, image: Callable[[str], LockedImage], settings: RunSettings, emit: Callable[..., None]) -> None:
        self._image = image
        self._settings = settings.docker
        self._trackers = settings.trackers.asked
        self._engines = Engines(settings.hosts, emit)
        self._kernels = KernelCaches(emit)

    def offers(self, environment: str) -> frozenset[str]:
        """Return the image's capabilities if it is given a GPU; make sure that an engine has the image."""
        if environment == "host":
            return frozenset()
        image = self._image(environment)
        engine, _ = self._placed(image)
        if environment == "training" and self._trackers:
            refuse_trackers_elsewhere(engine)
        return frozenset(image.labels.get(CAPABILITIES, "").split()) if self._settings.gpus else frozenset()

    def run(self, request: Request, sink: EventSink, cancelled: threading.Event) -> Path:
        """Run one job; see `contract.Executor`. Raises EngineError and ImageError as well."""
        engine, image = self._placed(self._image(request.environment))
        if request.tracking is not None:
            refuse_trackers_elsewhere(engine)
        limits = Limits.of(self._settings, engine.memory_bytes)
        kernels = self._kernels.mounts(engine, image, limits, request, cancelled) if limits.gpus else []
        patience = Patience(request.stage, cancelled, _shorter(request.timeout_s, self._settings.timeout_s))
        with explained(request.work):
            lay_out(request)
        output = JobOutput(request.stage, sink)
        with BoundFolders(request) if engine.shares_files else Volumes(request, engine, image, limits) as files:
            body = specification.container(
                image,
                job_command(interpreter(image)),
                [*files.mounts(), *kernels],
                limits,
                variables={
                    **job_variables(request, interpreter(image), home=HOME, temporary=TEMPORARY),
                    **tracking_variables(request, packages=PACKAGES, folder=TRACKED),
                },
                labels=labels(request.run, request.stage),
            )
            with created(engine, body) as container:
                refuse_missing_gpus(container, limits.gpus)
                sink("job.started", stage=request.stage, container=container.identity[:12], network=False)
                state = run(container, output, patience)
            judge(request.stage, state, output, limits)
            files.collect()
        return request.work / "output"

    def _placed(self, image: LockedImage) -> tuple[Engine, LockedImage]:
        """Return the engine that an image runs on, and the image as that engine knows it."""
        engine = self._engines.of(image.name)
        return engine, engine.known(image)


def refuse_trackers_elsewhere(engine: Engine) -> None:
    """Raise SettingsError where what trackers write would stay on another machine."""
    if not engine.shares_files:
        message = "trackers write into this machine's build folder, which the engine for training does not see"
        raise SettingsError(
            message, where=engine.url, advice="take [trackers] out of run.toml, or train on this machine"
        )


def lay_out(request: Request) -> None:
    """Write what a job is given beside its inputs, and make the folder for what it makes."""
    write_code(request, request.work / "code")
    (request.work / "output").mkdir()
    folders: dict[str, PurePosixPath] = {name: GIVEN / "inputs" / name for name in (*request.folders, *request.inputs)}
    file = request.work / "request.json"
    write_request(request, file, folders, output=MADE / "output", scratch=MADE / "scratch")


def _shorter(*limits: float | None) -> float | None:
    return min((limit for limit in limits if limit is not None), default=None)
