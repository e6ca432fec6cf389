"""What every part is given: where things lie, what runs them, and what is known already."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.gpu.cards import Card
from bench.gpu.processes import Finished, NotMeasuredError, run
from bench.gpu.results import Results
from bench.table import REPOSITORY
from pipeline.determinism import fixed_variables

Device = Literal["cuda", "cpu"]
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a second place for files that the disk has no room for
ROOM_LEFT = 4 * 10**9
"""Bytes of a disk, or of memory, that large files leave free."""


@dataclass
class Bench:
    """One command. `work` keeps models, logs and results; a second command on it goes on.

    `carried` is what `python -m bench.gpu.pack` packed, `site` the packages of it.
    """

    work: Path
    device: Device
    card: Card | None
    python: Path
    results: Results
    carried: Path | None = None
    places: tuple[Path, ...] = ()
    threads: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))

    @property
    def site(self) -> Path:
        """Where carried packages are unpacked."""
        return self.work / "site"

    def environ(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the variables of a part's process: what the pipeline's executor fixes, and where packages are."""
        threads = str(self.threads)
        paths = [str(self.site), str(REPOSITORY)] if self.site.is_dir() else [str(REPOSITORY)]
        return {
            **os.environ,
            **fixed_variables("avx2"),
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "OMP_WAIT_POLICY": "PASSIVE",
            "USER": os.environ.get("USER", "bench"),  # Unsloth asks for the user's name
            **({} if self.device == "cuda" else {"CUDA_VISIBLE_DEVICES": ""}),
            **(more or {}),
        }

    def program(
        self,
        part: str,
        program: str,
        parameters: Mapping[str, Any],
        inputs: Mapping[str, Path],
        limit_s: float,
        more: Mapping[str, str] | None = None,
        size: int = 0,
    ) -> tuple[Finished, Path]:
        """Run one of the pipeline's programs as its executor does; return how it ended, and its output folder.

        `size` is what it will write, in bytes. Raises NotMeasuredError where it did not end well.
        """
        folder = self.fresh(part, size)
        output, scratch = folder / "output", folder / "scratch"
        output.mkdir()
        scratch.mkdir()
        request = {
            "program": program,
            "parameters": parameters,
            "inputs": {name: str(path) for name, path in inputs.items()},
            "output": str(output),
            "scratch": str(scratch),
            "threads": self.threads,
        }
        found = self._run("pipeline.inside", request, folder, limit_s, more)
        shutil.rmtree(scratch)
        return found, output

    def inner(
        self,
        part: str,
        module: str,
        request: Mapping[str, Any],
        limit_s: float,
        more: Mapping[str, str] | None = None,
        size: int = 0,
    ) -> tuple[Finished, Path]:
        """Run a module of `bench/gpu/inside/`; return how it ended, and the folder that it was given as `folder`.

        `size` is what it will write, in bytes. Raises NotMeasuredError where it did not end well.
        """
        folder = self.fresh(part, size)
        whole = {"folder": str(folder), "threads": self.threads, **request}
        return self._run(f"bench.gpu.inside.{module}", whole, folder, limit_s, more), folder

    def _run(
        self, module: str, request: Mapping[str, Any], folder: Path, limit_s: float, more: Mapping[str, str] | None
    ) -> Finished:
        file = folder / "request.json"
        file.write_text(json.dumps(request), encoding="utf-8")
        command: list[str | Path] = [self.python, "-m", module, file]
        found = run(command, REPOSITORY, self.environ(more), limit_s, folder / "log.txt")
        found.check(limit_s)
        return found

    def folder(self, part: str) -> Path:
        """Return the folder of a part that has run."""
        for place in (self.work, *self.places):
            if (place / part).is_dir():
                return place / part
        raise NotMeasuredError(f"the files of {part} are gone from {self.work}: measure it again")

    def fresh(self, part: str, size: int = 0) -> Path:
        """Return a new empty folder for a part whose files take `size` bytes. Raises NotMeasuredError without room."""
        free = {}
        for place in (self.work, *self.places):
            shutil.rmtree(place / part, ignore_errors=True)
        for place in (self.work, *self.places):
            place.mkdir(parents=True, exist_ok=True)
            free[place] = shutil.disk_usage(place).free
            if not size or size + ROOM_LEFT <= free[place]:
                folder = place / part
                folder.mkdir(parents=True)
                return folder
        told = ", ".join(f"{place} has {bytes_ / 1e9:.0f}" for place, bytes_ in free.items())
        raise NotMeasuredError(f"it needs {size / 1e9:.0f} GB of room, and {told}")

    def needs(self, part: str) -> Mapping[str, Any]:
        """Return the figures of an earlier part. Raises NotMeasuredError where it has none."""
        found = self.results.measured(part)
        if found is None:
            raise NotMeasuredError(f"it needs {part}, which was not measured")
        return found


def tree_of(bench: Bench) -> Path:
    """Return llama.cpp's tree: the carried one, or that of this checkout. Raises NotMeasuredError."""
    from llama_cpp_vendor.pin import read_pin  # noqa: PLC0415 - only a few parts want it
    from llama_cpp_vendor.unpack import converter_folder, present  # noqa: PLC0415
    from pipeline.environments import llama_cpp_cache  # noqa: PLC0415

    for cache in (bench.work / "llama_cpp", llama_cpp_cache()):
        tree = present(read_pin(), cache)
        if tree is not None:
            return converter_folder(tree)
    raise NotMeasuredError("llama.cpp's tree is not here: pack it with `python -m bench.gpu.pack`, or build once")
