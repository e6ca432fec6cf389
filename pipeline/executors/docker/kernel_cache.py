"""Kernels that a GPU's driver compiled, kept from job to job in a volume of the engine: one for each image.

A card that is newer than the machine code in an image gets its kernels from PTX, which the driver compiles when they
are first loaded: minutes for llama.cpp on an RTX 50 card. The driver keeps them in `CUDA_CACHE_PATH`. Before the first
job of a run, a warm-up loads every kernel at once and tells how long that took; later runs find them there.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from pipeline.errors import PipelineError
from pipeline.executors.contract import Request
from pipeline.executors.docker import specification
from pipeline.executors.docker.archive import Entry, pack
from pipeline.executors.docker.container import created, run
from pipeline.executors.docker.engine import Engine
from pipeline.executors.docker.faults import engine_errors
from pipeline.executors.docker.owner import PROJECT, labels
from pipeline.executors.docker.specification import HOME, Limits, Mount, interpreter, job_user
from pipeline.executors.events import JobOutput
from pipeline.executors.patience import Patience
from pipeline.images.lock import LockedImage

FOLDER = HOME / "cuda"
"""Where both images say `CUDA_CACHE_PATH` is."""

_LABEL = f"{PROJECT}.kernels-of"
"""Names the image whose kernels a volume keeps: `docker volume ls --filter label=fine-tune-pipeline.kernels-of`."""

_WARM_UP = """
import ctypes, json, time
started = time.monotonic()
try:
    import llama_cpp
except ImportError:
    raise SystemExit
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
        self._warm: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def mount(self, engine: Engine, image: LockedImage, limits: Limits, request: Request) -> Mount:
        """Return the mount of an image's kernels, which are warm then. Raises EngineError."""
        name = f"{PROJECT}-kernels-{image.id.removeprefix('sha256:')[:16]}"
        found: Mount = {"Type": "volume", "Source": name, "Target": str(FOLDER), "ReadOnly": False}
        with self._lock:  # a second job waits for the warm-up instead of compiling the same
            if (engine.url, image.id) not in self._warm:
                self._prepare(engine, image, limits, request, found)
                self._warm.add((engine.url, image.id))
        return found

    def _prepare(self, engine: Engine, image: LockedImage, limits: Limits, request: Request, mount: Mount) -> None:
        """Make the volume if it is not there, and the job's user its owner; then load every kernel once."""

        def body(command: list[str], **variables: str) -> dict[str, Any]:
            own = labels(request.run, request.stage)
            whole = specification.container(image, command, [mount], limits, variables=variables, labels=own)
            return {**whole, "WorkingDir": "/"}

        with engine_errors(engine.url):
            known = engine.api.volumes(filters={"label": f"{_LABEL}={image.id}"}).get("Volumes") or ()
            engine.api.create_volume(mount["Source"], labels={_LABEL: image.id})
        carrier = body(["/bin/true"])
        carrier["HostConfig"] |= {"ReadonlyRootfs": False, "DeviceRequests": []}
        with created(engine, carrier) as container, engine_errors(engine.url):
            entry = Entry(FOLDER.relative_to("/"), user=job_user())
            engine.api.put_archive(container.identity, "/", pack([entry], {}))
        self._emit("kernels.loading", image=image.name)
        output = JobOutput(request.stage, lambda event, **data: self._emit(event, image=image.name, **data))
        command = [str(interpreter(image)), "-c", self._warm_up]
        # Without a warm-up the first job is slow, and says itself what is wrong with the card.
        with contextlib.suppress(PipelineError):
            with created(engine, body(command, CUDA_MODULE_LOADING="EAGER", CUDA_CACHE_PATH=str(FOLDER))) as container:
                state = run(container, output, Patience(request.stage, threading.Event(), None))
            output.judge(int(state["ExitCode"]))
            return
        self._emit("kernels.failed", image=image.name)
        if not known:
            with engine_errors(engine.url):
                engine.api.remove_volume(mount["Source"], force=True)
