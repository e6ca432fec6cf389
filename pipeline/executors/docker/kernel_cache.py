"""Kernels that a GPU's driver compiled, kept from job to job in a volume of the engine: one for each image.

A card that is newer than the machine code in an image gets its kernels from PTX, which the driver compiles when they
are first loaded: minutes for llama.cpp on an RTX 50 card. The driver keeps them in `CUDA_CACHE_PATH`. Before the first
job of a run, a warm-up loads every kernel at once and tells how long that took; later runs find them there.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from docker.errors import DockerException
from requests import RequestException

from pipeline.engine.faults import engine_errors
from pipeline.errors import InterruptedRunError, PipelineError
from pipeline.executors.contract import Request
from pipeline.executors.docker import specification
from pipeline.executors.docker.archive import Entry, pack
from pipeline.executors.docker.container import created, run
from pipeline.executors.docker.engine import Engine
from pipeline.executors.docker.owner import PROJECT, labels
from pipeline.executors.docker.specification import HOME, Limits, Mount, interpreter, job_user
from pipeline.executors.docker.verdict import judge
from pipeline.executors.events import JobOutput
from pipeline.executors.patience import Patience
from pipeline.images.lock import LLAMA_CPP, LockedImage

FOLDER = HOME / "cuda"
"""Where both images say `CUDA_CACHE_PATH` is."""

LABEL = f"{PROJECT}.kernels-of"
"""Names the image whose kernels a volume keeps: `docker volume ls --filter label=fine-tune-pipeline.kernels-of`."""

_WARM_UP = """
import ctypes, json, time
started = time.monotonic()
import llama_cpp
llama_cpp.llama_backend_init()
with open("/proc/self/maps") as maps:
    runtimes = {line.split()[-1] for line in maps if "libcudart" in line}
code = max((ctypes.CDLL(path).cudaFree(None) for path in runtimes), default=0)
if code:
    raise SystemExit(f"cudaFree: error {code}")
print(json.dumps({"event": "kernels.loaded", "seconds": round(time.monotonic() - started, 1)}))
"""
"""Makes a context on the card. With eager loading that loads every kernel of the libraries that are there."""


class KernelCaches:
    """The volumes with compiled kernels that one run uses. `emit` hears of warm-ups."""

    def __init__(self, emit: Callable[..., None], warm_up: str = _WARM_UP) -> None:
        self._emit = emit
        self._warm_up = warm_up
        self._known: dict[tuple[str, str], list[Mount]] = {}
        self._lock = threading.Lock()

    def mounts(
        self, engine: Engine, image: LockedImage, limits: Limits, request: Request, cancelled: threading.Event
    ) -> list[Mount]:
        """Return the mount of an image's kernels, which are warm then; none of one without llama.cpp.

        What goes wrong here is told and stops nothing: the job itself says better what is wrong with the card, or is
        slow. Raises InterruptedRunError.
        """
        if LLAMA_CPP not in image.labels:
            return []
        with self._lock:  # a second job waits for the warm-up instead of compiling the same
            if (engine.url, image.id) not in self._known:
                self._emit("kernels.loading", image=image.name)
                found = self._prepared(engine, image, limits, request, cancelled)
                self._known[engine.url, image.id] = found
            return self._known[engine.url, image.id]

    def _prepared(
        self, engine: Engine, image: LockedImage, limits: Limits, request: Request, cancelled: threading.Event
    ) -> list[Mount]:
        name = volume_name(image)
        mount: Mount = {"Type": "volume", "Source": name, "Target": str(FOLDER), "ReadOnly": False}
        fresh = True
        try:
            with engine_errors(engine.url):
                fresh = name not in {item["Name"] for item in engine.api.volumes().get("Volumes") or ()}
                engine.api.create_volume(name, labels={LABEL: image.id})
            warm_up = _WarmUp(engine, image, limits, request, mount)
            warm_up.give_to_the_job()
            warm_up.run(self._warm_up, cancelled, self._emit)
        except InterruptedRunError:
            raise
        except PipelineError as error:
            self._emit("kernels.failed", image=image.name, what=error.what)
            if fresh:
                with contextlib.suppress(DockerException, RequestException):
                    engine.api.remove_volume(name, force=True)
            return []
        return [mount]


@dataclass(frozen=True)
class _WarmUp:
    """The containers before an image's first job."""

    engine: Engine
    image: LockedImage
    limits: Limits
    request: Request
    mount: Mount

    def give_to_the_job(self) -> None:
        """Make the jobs' user the owner of the volume, through a container that is never started."""
        body = self._body(["/bin/true"])
        body["HostConfig"] |= {"ReadonlyRootfs": False, "DeviceRequests": []}
        with created(self.engine, body) as container, engine_errors(self.engine.url):
            entry = Entry(FOLDER.relative_to("/"), user=job_user())
            self.engine.api.put_archive(container.identity, "/", pack([entry], {}))

    def run(self, program: str, cancelled: threading.Event, emit: Callable[..., None]) -> None:
        """Load every kernel once."""
        output = JobOutput(self.request.stage, lambda event, **data: emit(event, image=self.image.name, **data))
        command = [str(interpreter(self.image)), "-c", program]
        body = self._body(command, CUDA_MODULE_LOADING="EAGER", CUDA_CACHE_PATH=str(FOLDER))
        with created(self.engine, body) as container:
            state = run(container, output, Patience(self.request.stage, cancelled, None))
        judge(self.request.stage, state, output, self.limits)

    def _body(self, command: list[str], **variables: str) -> dict[str, Any]:
        own = labels(self.request.run, self.request.stage)
        body = specification.container(self.image, command, [self.mount], self.limits, variables=variables, labels=own)
        return {**body, "WorkingDir": "/"}


def volume_name(image: LockedImage) -> str:
    """Return the name of an image's volume. Each user has one, since its folder belongs to the jobs' user."""
    return f"{PROJECT}-kernels-{image.id.removeprefix('sha256:')[:16]}-{job_user()[0]}"
